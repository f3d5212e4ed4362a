"""A bot that is asked, whatever the chat: how photos are handed in, what its answers say, and what they took.

`Bot` is a running bot; `lab.telegram` has that of Telegram, `lab.discord` that of Discord.
"""

import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from answers.replies import FAULTS
from benchmarks.lab.daemon import Daemon
from benchmarks.lab.processes import MB, status
from benchmarks.lab.queries import Query, as_sent
from benchmarks.lab.script import missed
from benchmarks.lab.timing import shown_spread, spread, wait_until
from tests.shell import Shell

IGSEARCH = ("-m", "igsearch")
ANSWER_SECONDS, WARM_SECONDS, LOG_SECONDS = 60.0, 300.0, 10.0
LOOK_EVERY = 0.05

REFUSALS = {sentence: str(fault) for fault, sentence in FAULTS.items()}
TOO_FAST = "You are faster"
STEPS = re.compile(
    r"answered with .+ in \d+ ms \(download (?P<download>\d+), reading (?P<reading>\d+), search (?P<search>\d+),"
    r" reply (?P<reply>\d+)\)"
)


@dataclass(frozen=True, slots=True)
class Asked(ABC):
    """A photo that was handed to a bot, and when, by the monotonic clock."""

    query: Query
    at: float

    @property
    @abstractmethod
    def answers(self) -> Sequence[object]: ...

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How long its sender waited; infinite where no answer came."""

    @property
    @abstractmethod
    def words(self) -> str:
        """All that the answer says; empty where none came."""

    @property
    @abstractmethod
    def named(self) -> list[str]:
        """The accounts that the answer names."""

    @property
    def refusal(self) -> str | None:
        """Why the answer refuses to search: silent, too fast, or a fault; None where it does not."""
        if not self.words:
            return "silent"
        return "too fast" if self.words.startswith(TOO_FAST) else REFUSALS.get(self.words)

    @property
    def verdict(self) -> str:
        """Say what the answer is: right, missed (nobody named), wrong, or the reason of its refusal."""
        owner, named = self.query.owner, self.named
        if refusal := self.refusal:
            return refusal
        if owner in named or (owner is None and not named):
            return "right"
        return "wrong" if named else "missed"


SomeAsked = TypeVar("SomeAsked", bound=Asked)


@dataclass(frozen=True, slots=True)
class Steps:
    """What an answer took in the bot, as it logged it, in seconds."""

    download: float
    reading: float
    search: float
    reply: float

    @property
    def whole(self) -> float:
        return self.download + self.reading + self.search + self.reply


@dataclass(frozen=True, slots=True)
class Bot(ABC, Generic[SomeAsked]):
    """A running bot, and how it is asked."""

    process: Daemon

    @abstractmethod
    def hand_in(self, queries: Sequence[Query]) -> list[SomeAsked]:
        """Send each photo as somebody new, all at once."""

    @abstractmethod
    def send_file(self, data: bytes) -> SomeAsked:
        """Hand a file of somebody new to the bot."""

    def ask(self, query: Query, *, seconds: float = ANSWER_SECONDS) -> SomeAsked:
        """Send a photo of somebody new, and wait for the answer."""
        [asked] = self.hand_in([query])
        self.wait([asked], seconds=seconds)
        return asked

    def wait(self, asked: Sequence[SomeAsked], *, seconds: float, answers: int | None = None) -> None:
        """Wait until all are answered, or so many of them, for a while, and for as long as the bot lives."""
        wanted = len(asked) if answers is None else answers
        wait_until(
            lambda: self._has_ended or sum(bool(one.answers) for one in asked) >= wanted,
            seconds=seconds,
            every=LOOK_EVERY,
        )
        assert not self._has_ended, f"the bot ended by itself: {self.process.end_of_log()}"

    def warm_up(self, unknown: Path) -> None:
        """Ask for a photo that nobody posted, which goes through all of the search, so that both indexes are read."""
        verdict = self.ask(Query(as_sent(unknown), None), seconds=WARM_SECONDS).verdict
        assert verdict == "right", f"the bot answered its first photo with: {verdict}"

    def steps(self, *, since: int, count: int) -> list[Steps]:
        """Return what the log tells of so many answers since a mark."""
        wait_until(lambda: len(self._steps(since)) >= count, seconds=LOG_SECONDS)
        steps = self._steps(since)
        assert len(steps) == count, f"the log tells of {len(steps)} answers, not of {count}"
        return steps

    def _steps(self, since: int) -> list[Steps]:
        found = filter(None, map(STEPS.search, self.process.lines(since)))
        return [Steps(**{step: int(taken) / 1000 for step, taken in one.groupdict().items()}) for one in found]

    def megabytes(self, name: str) -> float:
        """Return a figure of the bot's own process, such as VmRSS or VmHWM."""
        return status(name, self.process.session) / MB

    @property
    def _has_ended(self) -> bool:
        return self.process.process.poll() is not None


@contextmanager
def running(
    folder: Path, command: str, variables: Mapping[str, str], *, program: tuple[str, ...] = IGSEARCH
) -> Iterator[Daemon]:
    """Run a bot at home in a folder from when it says that it answers; it must end without a traceback."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    arguments = (command, "--dataset", "images")
    with Shell(folder).service(*arguments, variables=variables, prefix=("setsid",), program=program) as service:
        service.until_said("answers")
        assert os.getsid(service.process.pid) == service.process.pid, "setsid did not keep the process id"
        yield Daemon(service.process, service.log_file)


# Figures and faults


def counted(asked: Iterable[Asked]) -> str:
    """Say how often each verdict came."""
    return ", ".join(f"{times:,} {verdict}" for verdict, times in Counter(one.verdict for one in asked).most_common())


def waits(asked: Sequence[Asked]) -> str:
    """Say how long the senders waited."""
    return shown_spread([one.seconds for one in asked])


def missed_p95(name: str, asked: Sequence[Asked], goal: float) -> list[str]:
    return missed(f"{name}, p95", spread([one.seconds for one in asked])[1], goal, "s")


def unfit(bot: Bot[SomeAsked], asked: Sequence[SomeAsked], *, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Complain of answers that are neither right nor polite, unless the photo alone gets the same."""
    doubtful = [one for one in asked if one.verdict in {"missed", "wrong"}]
    faults = [one.verdict for one in asked if one.verdict not in {"right", "missed", "wrong", *allowed}]
    faults += [f"{one.verdict}, but not alone" for one in doubtful if bot.ask(one.query).verdict != one.verdict]
    faults += ["answered more than once" for one in asked if len(one.answers) > 1]
    return [f"{times} x {fault}" for fault, times in Counter(faults).items()]
