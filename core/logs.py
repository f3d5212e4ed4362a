"""Logs on standard error: text for people, JSON for machines."""

import logging
import os
from contextlib import suppress
from typing import Literal

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
MOMENT = "%Y-%m-%dT%H:%M:%S%z"
STANDARD_ERROR = 2
CHATTY = ("PIL", "asyncio", "alembic", "aiosqlite", "sqlalchemy", "apscheduler")
"""Libraries whose facts are not ours; sqlalchemy prints the parameters of statements."""
REDUNDANT = ("sqlalchemy.pool",)
"""Tells with a traceback of connections that could not be given back in good order, and drops them: as it should."""


def start_logging(level: str, style: Literal["text", "json"]) -> None:
    """Send the logs of the whole process to standard error."""
    handler = _StandardError()
    handler.setFormatter(_json_formatter() if style == "json" else logging.Formatter(TEXT, MOMENT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REDUNDANT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _StandardError(logging.Handler):
    """Writes to standard error at once, and loses a line where that fails.

    A full disk or a closed terminal would otherwise leave lines in a buffer, which fails whoever flushes it: the start
    of a worker process, for one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            os.write(STANDARD_ERROR, f"{self.format(record)}\n".encode(errors="backslashreplace"))


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - most commands log text

    return JsonFormatter(JSON, MOMENT, rename_fields={"asctime": "time", "levelname": "level", "name": "logger"})
