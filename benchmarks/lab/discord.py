"""The real `igsearch discord` against the Discord of the tests: people who use /search.

Times are taken by the server: from the command to the call that gave the person something to read, which may be the
first sign, or take the place of "thinking", or stand in a message of its own.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab.bots import Asked, Bot, running
from benchmarks.lab.queries import Query
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.calls import Call
from tests.fakes.discord.channels import BotMessage, Guild
from tests.fakes.discord.files import Attachment
from tests.fakes.discord.interactions import DEFERRED_ANSWER, Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.stage import MAIN, Stage
from tests.shell import Shell

REFUSED, TOO_MANY_CALLS = 300, 429
"""Statuses: from this one on a call was not carried out; and the limits were met."""
ESCAPE = "\\"
"""Stands before each mark of Markdown in a username."""
ENTRY = re.compile(r"^\*\*\d+\.\*\* \[([^\]]+)\]\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Used(Asked):
    """A /search command, and all calls of the bot."""

    person: Person
    interaction: Interaction
    calls: Sequence[Call]

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
    def lacks_picture(self) -> bool:
        """Tell whether somebody was found, but no picture of the match stands in the answer."""
        return bool(self.named and not self.answers[0].files)

    def _is_shown_by(self, call: Call) -> bool:
        """Tell whether a call put something to read before this person."""
        is_taken = self.interaction.token in call.path and (call.status or 0) < REFUSED
        return is_taken and call.method != "DELETE" and call.body.get("type") != DEFERRED_ANSWER


@dataclass(frozen=True, slots=True)
class DiscordBot(Bot[Used]):
    """A running bot, and a guild whose people ask it."""

    api: DiscordApi
    guild: Guild

    def hand_in(self, queries: Sequence[Query]) -> list[Used]:
        people = [self.api.person() for _ in queries]
        files = [person.attaches("photo.jpg", query.data) for person, query in zip(people, queries, strict=True)]
        return [self._search(*one) for one in zip(queries, people, files, strict=True)]

    def _search(self, query: Query, person: Person, file: Attachment) -> Used:
        interaction = person.uses_command("search", {"image": file}, where=self.guild)
        return Used(query, interaction.at, person, interaction, self.api.calls)

    def send_file(self, data: bytes) -> Used:
        return self.hand_in([Query(data, None)])[0]

    @property
    def limited(self) -> int:
        """How many calls met Discord's limits."""
        return sum(call.status == TOO_MANY_CALLS for call in list(self.api.calls))


@contextmanager
def discord_bot(folder: Path, url: str) -> Iterator[DiscordBot]:
    """Run a bot at home in a folder; it must end without a traceback."""
    with discord_api() as api:
        variables = Stage(Shell(folder), api).variables() | {"IGSEARCH_DATABASE_URL": url}
        guild = api.guild()
        with running(folder, "discord", variables, program=(MAIN,)) as process:
            yield DiscordBot(process, api, guild)
