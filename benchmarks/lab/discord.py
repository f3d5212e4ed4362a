"""The trial `discord` of benchmarks/soak/chat_load.py: people who use /search, one after the other and 25 at once.

`searching` runs `igsearch discord` against the Discord of the tests; through `Search` people use the command, and
`Used` tells what came back. Times are taken by the server: from the command to the call that gave the person something
to read, which may be the first sign, or take the place of "thinking", or stand in a message of its own.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab.bots import ANSWER_SECONDS, Query, Talk, counted, running, verdict_of
from benchmarks.lab.chat_figures import (
    DEEP_SECONDS,
    PHOTOS,
    WHOLE_SECONDS,
    ask_in_turn,
    missed,
    missed_p95,
    shown,
    unfit,
)
from benchmarks.lab.telegram import Album, warm_up
from benchmarks.soak import database_outage as outage
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.calls import Call
from tests.fakes.discord.channels import BotMessage, Guild
from tests.fakes.discord.interactions import ACKNOWLEDGE_SECONDS, DEFERRED_ANSWER, Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.stage import MAIN, Stage
from tests.shell import Shell

SIGN_SECONDS = 1.0
"""Goal for the first sign; after 3 s Discord says itself that the application did not respond."""
AT_ONCE = 25
REFUSED, TOO_MANY_CALLS = 300, 429
"""Statuses: from this one on a call was not carried out; and the limits were met."""
ESCAPE = "\\"
"""Stands before each mark of Markdown in a username."""
ENTRY = re.compile(r"^\*\*\d+\.\*\* \[([^\]]+)\]\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Used:
    """A /search command, and all calls of the bot."""

    query: Query
    person: Person
    interaction: Interaction
    calls: Sequence[Call]

    @property
    def at(self) -> float:
        return self.interaction.at

    @property
    def answers(self) -> list[BotMessage]:
        return self.interaction.answers

    @property
    def seconds(self) -> float:
        if not self.answers:
            return float("inf")
        return next(call.at for call in list(self.calls) if self._is_shown_by(call)) - self.at

    @property
    def sign(self) -> float:
        """How long its sender waited for a first sign; infinite where none came."""
        waited = self.interaction.acknowledged_after
        return float("inf") if waited is None else waited

    @property
    def words(self) -> str:
        answers = self.answers
        return answers[0].words.replace(ESCAPE, "") if answers else ""

    @property
    def named(self) -> list[str]:
        return ENTRY.findall(self.words)

    @property
    def verdict(self) -> str:
        return verdict_of(self.words, self.query.owner, self.named)

    @property
    def lacks_picture(self) -> bool:
        """Tell whether somebody was found, but no picture of the match stands in the answer."""
        return bool(self.named and not self.answers[0].files)

    def _is_shown_by(self, call: Call) -> bool:
        """Tell whether a call put something to read before this person."""
        is_taken = self.interaction.token in call.path and (call.status or 0) < REFUSED
        return is_taken and call.method != "DELETE" and call.body.get("type") != DEFERRED_ANSWER


@dataclass(frozen=True, slots=True)
class Search(Talk[Used]):
    """A running bot, and a guild whose people ask it."""

    api: DiscordApi
    guild: Guild

    def use(self, queries: Sequence[Query]) -> list[Used]:
        """Let each photo be searched by somebody new, all at once."""
        people = [self.api.person() for _ in queries]
        files = [person.attaches("photo.jpg", query.data) for person, query in zip(people, queries, strict=True)]
        return [
            Used(query, person, person.uses_command("search", {"image": file}, where=self.guild), self.api.calls)
            for person, file, query in zip(people, files, queries, strict=True)
        ]

    def ask(self, query: Query, *, seconds: float = ANSWER_SECONDS) -> Used:
        used = self.use([query])
        self.wait(used, seconds=seconds)
        return used[0]

    def send_file(self, data: bytes) -> Used:
        return self.use([Query(data, None)])[0]

    def press(self, asked: Used, kind: str) -> Callable[[], bool] | None:
        answer = asked.answers[0]
        said = next((one.custom_id for one in answer.buttons if one.custom_id and one.custom_id[0] == kind), None)
        if said is None:
            return None
        pressed = asked.person.presses_raw(answer, said)
        return lambda: bool(pressed.answers)

    @property
    def limited(self) -> int:
        """How many calls met Discord's limits."""
        return sum(call.status == TOO_MANY_CALLS for call in list(self.api.calls))


@contextmanager
def searching(folder: Path, album: Album, url: str) -> Iterator[Search]:
    """Run a bot at home in a folder, that has read its index; it must end without a traceback."""
    with at_discord(folder, url) as search:
        warm_up(search, album)
        yield search


@contextmanager
def at_discord(folder: Path, url: str) -> Iterator[Search]:
    """Run a bot at home in a folder; it must end without a traceback."""
    with discord_api() as api:
        variables = Stage(Shell(folder), api).variables() | {"IGSEARCH_DATABASE_URL": url}
        guild = api.guild()
        with running(folder, "discord", variables, program=(MAIN,)) as bot:
            yield Search(bot, api, guild)


def tried(folder: Path, album: Album, url: str) -> list[str]:
    album.lay_out(folder / "images")
    with searching(folder, album, url) as search:
        try:
            faults = in_turn(search, "whole copies", album.whole(PHOTOS), goal=WHOLE_SECONDS)
            faults += in_turn(search, "search by features", album.features(PHOTOS), goal=DEEP_SECONDS)
            return faults + at_once(search, album.mixed(AT_ONCE))
        finally:
            print(f"    {search.limited} of {len(search.api.calls):,} calls met Discord's limits")
            outage.show_complaints(search.bot)


def in_turn(search: Search, name: str, queries: Sequence[Query], *, goal: float) -> list[str]:
    used = ask_in_turn(f"discord, {name}", search, queries, goal=goal)
    print_signs(used)
    faults = missed_p95(name, used, goal) + missed(f"{name}, first sign", last_sign(used), SIGN_SECONDS, "s")
    return faults + [f"{name}: {fault}" for fault in unfit(search, used) + unseen(used)]


def at_once(search: Search, queries: Sequence[Query]) -> list[str]:
    used = search.use(queries)
    search.wait(used, seconds=ANSWER_SECONDS)
    print(f"discord, {len(used)} at once: {counted(used)}; {shown([one.seconds for one in used])}", flush=True)
    print_signs(used)
    faults = unfit(search, used) + unseen(used)
    faults += missed("first sign", last_sign(used), ACKNOWLEDGE_SECONDS, "s")
    return [f"{len(used)} at once: {fault}" for fault in faults]


def print_signs(used: Sequence[Used]) -> None:
    deferred = sum(one.interaction.deferred is not None for one in used)
    soon = sum(one.sign < SIGN_SECONDS for one in used)
    print(f'    first sign {shown([one.sign for one in used])}; {deferred} by "thinking"', end="")
    print(f"; {soon} of {len(used)} below {1000 * SIGN_SECONDS:,.0f} ms", flush=True)


def last_sign(used: Sequence[Used]) -> float:
    return max(one.sign for one in used)


def unseen(used: Sequence[Used]) -> list[str]:
    """Complain of commands that Discord calls failed, and of answers without the picture of their match."""
    failed, bare = sum(one.interaction.failed for one in used), sum(one.lacks_picture for one in used)
    return ([f"{failed} commands failed"] if failed else []) + (
        [f"{bare} answers lack the picture of the match"] if bare else []
    )
