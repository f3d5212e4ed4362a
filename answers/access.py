"""Decide who may use a bot and who is its admin."""

from collections.abc import Collection
from dataclasses import dataclass

from core.model.statuses import FrontEnd


@dataclass(frozen=True, slots=True)
class Access:
    """The access rules of one bot."""

    allowed: frozenset[int]
    """Ids of the chats or servers that are served; empty: all."""
    admins: frozenset[int]
    """Ids of the people who may ask anywhere and are told more."""

    def admits(self, chat: int, person: int) -> bool:
        return not self.allowed or chat in self.allowed or self.is_admin(person)

    def is_admin(self, person: int) -> bool:
        return person in self.admins


def access_of(front_end: FrontEnd, allowed: Collection[int], admins: Collection[str]) -> Access:
    """Return the access rules of one front end; the settings name an admin as telegram:123."""
    ours = (admin.split(":") for admin in admins)
    return Access(frozenset(allowed), frozenset(int(number) for name, number in ours if name == front_end))
