"""Interactions: what a person asked of the bot by a command, a menu or a button, and how it was answered."""

import secrets
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.fakes.discord.calls import Call, Json
from tests.fakes.discord.channels import BotMessage, Channel
from tests.journal import PATIENCE_SECONDS, Journal

COMMAND, COMPONENT = 2, 3
"""Types of interactions."""
ANSWER, DEFERRED_ANSWER, DEFERRED_UPDATE, UPDATE, MODAL = 4, 5, 6, 7, 9
"""Types of responses."""
ACKNOWLEDGE_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0


class Deferral(NamedTuple):
    """What told the person that an answer will come, and when."""

    at: float
    is_ephemeral: bool


@dataclass(eq=False)
class Interaction:
    """A person waits: three seconds for a first sign, a quarter of an hour for the rest."""

    journal: Journal[Call] = field(repr=False)
    id: int
    type: int
    name: str
    user: Json = field(repr=False)
    channel: Channel
    is_menu: bool = False
    source: BotMessage | None = None
    owners: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(120), repr=False)
    at: float = field(default_factory=time.monotonic)
    acknowledge_seconds: float = ACKNOWLEDGE_SECONDS
    token_seconds: float = TOKEN_SECONDS
    acknowledged_at: float | None = None
    response: int | None = None
    original: BotMessage | None = field(default=None, repr=False)
    followups: list[BotMessage] = field(default_factory=list, repr=False)
    modal: Json | None = None
    is_source_changed: bool = False
    deferred: Deferral | None = None

    @property
    def acknowledged_after(self) -> float | None:
        """Return the seconds until the bot's first sign, if there was one."""
        return None if self.acknowledged_at is None else self.acknowledged_at - self.at

    @property
    def failed(self) -> bool:
        """Wait for the first sign, and return whether none came: "The application did not respond"."""
        self.journal.until(
            lambda: self.acknowledged_at is not None or self.is_late,
            seconds=self.acknowledge_seconds + 1,
            what="a first sign or its lack",
        )
        return self.acknowledged_at is None

    @property
    def is_late(self) -> bool:
        return time.monotonic() - self.at > self.acknowledge_seconds

    @property
    def is_expired(self) -> bool:
        return time.monotonic() - self.at > self.token_seconds

    @property
    def answers(self) -> list[BotMessage]:
        """What the person sees now, in order; of a button also its message, once the bot changed it."""
        with self.journal.changed:
            is_new = self.original is not self.source or self.is_source_changed
            shown = [self.original] if self.original and is_new else []
            return [one for one in [*shown, *self.followups] if not one.is_deleted and not one.is_loading]

    def answer(self, *, seconds: float = PATIENCE_SECONDS) -> BotMessage:
        """Wait for the first answer that a person can read."""
        self.journal.until(lambda: bool(self.answers), seconds=seconds, what=f"an answer to {self.name}")
        return self.answers[0]

    def acknowledged(self, *, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait for the first sign, and return after how many seconds it came."""
        self.journal.until(lambda: self.acknowledged_at is not None, seconds=seconds, what=f"a sign for {self.name}")
        assert self.acknowledged_after is not None
        return self.acknowledged_after

    def expire(self) -> None:
        """Let the token be too old at once."""
        with self.journal.changed:
            self.token_seconds = 0

    @property
    def metadata(self) -> Json:
        """Return what a message tells of the interaction that it answers."""
        of_source = {"interacted_message_id": str(self.source.id)} if self.source else {}
        return {
            "id": str(self.id),
            "type": self.type,
            "user": self.user,
            "authorizing_integration_owners": self.owners,
            **({"name": self.name} if self.type == COMMAND else {}),
            **of_source,
        }
