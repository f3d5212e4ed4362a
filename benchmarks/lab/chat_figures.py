"""What the trials of benchmarks/soak/chat_load.py print of answers, and what they complain of."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.lab.bots import Query, SomeAsked, Steps, Talk, counted
from benchmarks.speed.query_cost import spread

PHOTOS = 100
WHOLE_SECONDS, DEEP_SECONDS = 1.0, 1.5
"""Goals for p95."""


def ask_in_turn(trial: str, talk: Talk[SomeAsked], queries: Sequence[Query], *, goal: float) -> list[SomeAsked]:
    """Ask one photo after the other, and print what the answers took, step by step."""
    mark = talk.bot.mark()
    asked = [talk.ask(query) for query in queries]
    waits = [one.seconds for one in asked]
    print(f"{trial}: {counted(asked)}; {shown(waits)}, goal: p95 below {1000 * goal:,.0f}", flush=True)
    print_steps(waits, talk.steps(since=mark, count=len(asked)))
    return asked


def print_steps(waits: Sequence[float], steps: Sequence[Steps]) -> None:
    parts = {
        "download": [one.download for one in steps],
        "decode": [one.reading for one in steps],
        "search": [one.search for one in steps],
        "reply": [one.reply for one in steps],
        "rest": [wait - one.whole for wait, one in zip(waits, steps, strict=True)],
    }
    for name, taken in parts.items():
        print(f"    {name:8} {shown(taken)}", flush=True)


def shown(seconds: Sequence[float]) -> str:
    """Say median, 95th percentile and maximum in milliseconds."""
    middle, slow = spread(seconds)
    return f"p50 {1000 * middle:,.0f} ms, p95 {1000 * slow:,.0f} ms, at most {1000 * max(seconds):,.0f} ms"


def missed(name: str, figure: float, goal: float, unit: str) -> list[str]:
    """Complain of a figure that is not below its goal; nan is not, as percentiles are where somebody never heard."""
    return [] if figure < goal else [f"{name}: {figure:.2f} {unit}, the goal is below {goal:g} {unit}"]


def missed_p95(name: str, asked: Sequence[SomeAsked], goal: float) -> list[str]:
    return missed(f"{name}, p95", spread([one.seconds for one in asked])[1], goal, "s")


def unfit(talk: Talk[SomeAsked], asked: Sequence[SomeAsked], *, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Complain of answers that are neither right nor polite, unless the photo alone gets the same."""
    alike = {"right", "missed", "wrong", *allowed}
    faults = [one.verdict for one in asked if one.verdict not in alike]
    faults += [f"{one.verdict}, but not alone" for one in talk.differing(asked)]
    doubled = sum(len(one.answers) > 1 for one in asked)
    return [f"{times} x {fault}" for fault, times in Counter(faults).items()] + (
        [f"{doubled} photos have more than one answer"] if doubled else []
    )
