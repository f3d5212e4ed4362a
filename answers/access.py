"""Who may ask a bot, and who is its admin."""

from collections.abc import Collection
from dataclasses import dataclass

from core.model.statuses import FrontEnd


@dataclass(frozen=True, slots=True)
class Access:
    """The ids of allowed chats or servers (none: everyone) and of admins, who may ask anywhere."""

    allowed: frozenset[int]
    admins: frozenset[int]

    def admits(self, chat: int, person: int) -> bool:
        return not self.allowed or chat in self.allowed or self.is_admin(person)

    def is_admin(self, person: int) -> bool:
        return person in self.admins


def access_of(front_end: FrontEnd, allowed: Collection[int], admins: Collection[str]) -> Access:
    """Read the settings of one front end; admins are written like telegram:123."""
    ours = (admin.split(":") for admin in admins)
    return Access(frozenset(allowed), frozenset(int(number) for name, number in ours if name == front_end))
