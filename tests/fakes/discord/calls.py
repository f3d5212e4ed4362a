"""The calls that a bot made of Discord, and the refusals that it met."""

import re
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

Json = dict[str, Any]

LONG = re.compile(r"[\w-]{40,}")


@dataclass(eq=False)
class Call:
    """A call of the bot; its status is None until it was answered, and for ever if the connection was cut.

    The path carries its ids but not the version before it; the files are under their field's name, `files[0]`.
    """

    method: str
    path: str
    body: Any = None
    files: dict[str, bytes] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)
    status: int | None = None

    def __str__(self) -> str:
        sizes = "".join(f" {name}: {len(data)} bytes" for name, data in self.files.items())
        return f"{self.at:.3f} {self.status or '...'} {self.method} {LONG.sub('TOKEN', self.path)} {self.body}{sizes}"


class Refusal(Exception):
    """What the server answers instead of a result: an HTTP status, Discord's own code, and words."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "code": code, **more}


@dataclass
class Form:
    """What is wrong with a body; Discord tells it nested as the body itself is."""

    faults: Json = field(default_factory=dict)

    def fault(self, path: tuple[str | int, ...], code: str, message: str) -> None:
        place = self.faults
        for step in path:
            place = place.setdefault(str(step), {})
        place.setdefault("_errors", []).append({"code": code, "message": message})

    def check_text(self, path: tuple[str | int, ...], value: object, least: int, most: int) -> None:
        """Note a text that is missing, of another type, too short or too long."""
        if value is None or value == "":
            if least:
                self.fault(path, "BASE_TYPE_REQUIRED", "This field is required")
        elif not isinstance(value, str):
            self.fault(path, "BASE_TYPE_STRING", "Could not interpret value as string.")
        elif not least <= len(value) <= most:
            self._length_fault(path, least, most)

    def check_count(self, path: tuple[str | int, ...], values: list[Any], least: int, most: int) -> None:
        if not least <= len(values) <= most:
            self._length_fault(path, least, most)

    def check_choice(self, path: tuple[str | int, ...], value: object, choices: frozenset[Any]) -> None:
        if value not in choices:
            words = ", ".join(str(choice) for choice in sorted(choices))
            self.fault(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{words}}}.")

    def refuse_if_faulty(self) -> None:
        if self.faults:
            raise Refusal(400, 50035, "Invalid Form Body", errors=self.faults)

    def _length_fault(self, path: tuple[str | int, ...], least: int, most: int) -> None:
        if least:
            self.fault(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
        else:
            self.fault(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")


def refuse_form(path: tuple[str | int, ...], code: str, message: str) -> NoReturn:
    """Refuse a body for one fault."""
    form = Form()
    form.fault(path, code, message)
    raise Refusal(400, 50035, "Invalid Form Body", errors=form.faults)
