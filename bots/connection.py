"""Track the connection between a bot and its chat, and report it with a heartbeat."""

from collections.abc import Callable
from datetime import UTC, datetime

from answers.backend import SearchBackend
from core.model.statuses import FrontEnd, FrontEndState, FrontEndStatus
from core.service.heartbeat import Heartbeat

LOOK_SECONDS, LAST_REPORT_SECONDS = 1.0, 0.4
"""The interval between two looks at the bot's status, and the time limit for its last report at shutdown."""


class ConnectionState:
    """The state of the connection as the bot last saw it."""

    def __init__(self) -> None:
        self.state: FrontEndState = "connecting"
        self.remark: str | None = None

    def up(self) -> None:
        self.state, self.remark = "answering", None

    def down(self, reason: str) -> None:
        self.state, self.remark = "connecting", reason


def heartbeat_of(
    front_end: FrontEnd, connection: ConnectionState, backend: SearchBackend, waiting: Callable[[], int]
) -> Heartbeat[FrontEndStatus]:
    """Return the heartbeat of a bot; `waiting` returns the number of photos that wait."""

    def status() -> FrontEndStatus:
        return FrontEndStatus(
            name=front_end,
            state=connection.state,
            remark=connection.remark,
            waiting=waiting(),
            has_workers=backend.has_workers(),
            seen_at=datetime.now(UTC),
        )

    return Heartbeat(
        status,
        measure=backend.meter.front_end_is,
        report=backend.statuses.note_front_end,
        look_seconds=LOOK_SECONDS,
        last_report_seconds=LAST_REPORT_SECONDS,
    )
