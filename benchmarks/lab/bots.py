"""A bot that is asked, whatever the chat: pictures with the accounts that are to be named, answers, and what they took.

`Talk` is a running bot; benchmarks/lab/telegram.py has that of Telegram, benchmarks/lab/discord.py that of Discord.
"""

import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from answers.replies import FAULTS
from benchmarks.lab.daemon import Daemon, wait_until
from tests.shell import Shell

IGSEARCH = ("-m", "igsearch")
ANSWER_SECONDS, LOG_SECONDS = 60.0, 10.0
LOOK_EVERY = 0.05
SHOW, WRONG = "s", "w"
"""Kinds of buttons: show the picture, and the answer is wrong."""
MB = 1_000_000

REFUSALS = {sentence: str(fault) for fault, sentence in FAULTS.items()}
TOO_FAST = "You are faster"
STEPS = re.compile(
    r"answered with .+ in \d+ ms \(download (?P<download>\d+), reading (?P<reading>\d+), search (?P<search>\d+),"
    r" reply (?P<reply>\d+)\)"
)


@dataclass(frozen=True, slots=True)
class Query:
    """What is sent as a photo, and the account that is to be named; None: nobody posted it."""

    data: bytes
    owner: str | None


class AnyAsked(Protocol):
    """A photo that was handed to a bot, in any chat."""

    @property
    def query(self) -> Query: ...

    @property
    def at(self) -> float:
        """When it was handed in, by the monotonic clock."""

    @property
    def answers(self) -> Sequence[object]: ...

    @property
    def seconds(self) -> float:
        """How long its sender waited; infinite where no answer came."""

    @property
    def words(self) -> str:
        """All that the answer says; empty where none came."""

    @property
    def named(self) -> list[str]:
        """The accounts that the answer names."""

    @property
    def verdict(self) -> str:
        """Say what the answer is: right, missed (nobody named), wrong, silent, too fast, or the fault it tells of."""


SomeAsked = TypeVar("SomeAsked", bound=AnyAsked)


def verdict_of(words: str, owner: str | None, named: Sequence[str]) -> str:
    """Judge what an answer says, and the accounts that it names."""
    if refusal := refusal_of(words):
        return refusal
    if owner in named or (owner is None and not named):
        return "right"
    return "wrong" if named else "missed"


def refusal_of(words: str) -> str | None:
    """Return why an answer refuses to search: silent, too fast, or a fault; None where it does not."""
    if not words:
        return "silent"
    return "too fast" if words.startswith(TOO_FAST) else REFUSALS.get(words)


def counted(asked: Iterable[AnyAsked]) -> str:
    """Say how often each verdict came."""
    return ", ".join(f"{times:,} {verdict}" for verdict, times in Counter(one.verdict for one in asked).most_common())


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
class Talk(ABC, Generic[SomeAsked]):
    """A running bot, and how it is asked."""

    bot: Daemon

    @abstractmethod
    def ask(self, query: Query, *, seconds: float = ANSWER_SECONDS) -> SomeAsked:
        """Send a photo of somebody new, and wait for the answer."""

    @abstractmethod
    def send_file(self, data: bytes) -> SomeAsked:
        """Hand a file of somebody new to the bot."""

    @abstractmethod
    def press(self, asked: SomeAsked, kind: str) -> Callable[[], bool] | None:
        """Press the first button of a kind below an answer; return how to tell whether all came that it is to bring.

        None where there is no such button.
        """

    def wait(self, asked: Sequence[SomeAsked], *, seconds: float, answers: int | None = None) -> None:
        """Wait until all are answered, or so many of them, for a while, and for as long as the bot lives."""
        wanted = len(asked) if answers is None else answers
        wait_until(
            lambda: self._has_ended or sum(bool(one.answers) for one in asked) >= wanted,
            seconds=seconds,
            every=LOOK_EVERY,
        )
        assert not self._has_ended, f"the bot ended by itself: {self.bot.last_words()}"

    def differing(self, asked: Sequence[SomeAsked]) -> list[SomeAsked]:
        """Return what was missed or wrong, but is answered otherwise when it is sent alone."""
        doubtful = [one for one in asked if one.verdict in {"missed", "wrong"}]
        return [one for one in doubtful if self.ask(one.query).verdict != one.verdict]

    def steps(self, *, since: int, count: int) -> list[Steps]:
        """Return what the log tells of so many answers since a mark."""
        wait_until(lambda: len(self._steps(since)) >= count, seconds=LOG_SECONDS)
        steps = self._steps(since)
        assert len(steps) == count, f"the log tells of {len(steps)} answers, not of {count}"
        return steps

    def _steps(self, since: int) -> list[Steps]:
        log = self.bot.log.read_bytes()[since:].decode(errors="replace")
        return [
            Steps(**{step: int(taken) / 1000 for step, taken in found.groupdict().items()})
            for found in STEPS.finditer(log)
        ]

    def resident(self) -> float:
        """Return the resident set of the bot's own process in MB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """Return the largest resident set of the bot's own process since `forget_peak`, in MB."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        (self._process / "clear_refs").write_text("5")

    def _memory(self, name: str) -> float:
        status = (self._process / "status").read_text()
        return 1024 * int(re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)[0]) / MB

    @property
    def _has_ended(self) -> bool:
        return self.bot.process.poll() is not None

    @property
    def _process(self) -> Path:
        return Path(f"/proc/{self.bot.session}")


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
