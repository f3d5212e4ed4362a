"""Write logs to standard error, as text for people or as JSON for machines, without secrets."""

import logging
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from traceback import extract_tb
from types import TracebackType
from typing import Literal
from urllib.parse import quote

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
MOMENT = "%Y-%m-%dT%H:%M:%S%z"
STANDARD_ERROR = 2
CHATTY = (
    "PIL",
    "alembic",
    "aiosqlite",
    "apscheduler",
    "asyncio",
    "faiss",
    "httpcore",
    "httpx",
    "sqlalchemy",
    "tornado",
)
"""Libraries whose messages below WARNING are dropped; sqlalchemy prints the parameters of statements, httpx every
URL."""
REDUNDANT = ("discord", "sqlalchemy.pool", "telegram")
"""Libraries that log a traceback of errors which they also handle or raise: connections that could not be returned to
the pool, answers of a proxy that are not JSON."""
HIDDEN = "[hidden]"
SHORTEST_SECRET = 4
"""A shorter secret protects nothing, and hiding it would blank out parts of ordinary words."""


def start_logging(level: str, style: Literal["text", "json"], secrets: Collection[str] = ()) -> None:
    """Send all logs of the process, those of libraries included, to standard error without secrets."""
    handler = _StandardError(secrets)
    handler.setFormatter(_json_formatter() if style == "json" else _Brief(TEXT, MOMENT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REDUNDANT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def hider(secrets: Collection[str]) -> Callable[[str], str]:
    """Return a function that hides secrets in a text, also in the form they have in a URL."""
    forms = {form for secret in secrets for form in (secret, quote(secret), quote(secret, safe=""))}
    hidden = [form for form in forms if len(form) >= SHORTEST_SECRET]

    def hide(text: str) -> str:
        for form in hidden:
            text = text.replace(form, HIDDEN)
        return text

    return hide


_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _StandardError(logging.Handler):
    """Log handler that writes to standard error unbuffered, and drops a line that cannot be written.

    With a full disk or a closed terminal a buffered handler would keep lines in its buffer, and the next code that
    flushes the buffer, such as the start of a worker process, would fail.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        self._hidden = hider(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            os.write(STANDARD_ERROR, f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, hiding secrets in the whole line: they may be in arguments, URLs and exceptions."""
        return self._hidden(super().format(record))


class _Brief(logging.Formatter):
    """Formatter that writes an exception as one line with its source location, without a traceback."""

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - the name is logging's
        _, error, trace = ei
        raised = extract_tb(trace)[-1:]
        place = "".join(f" ({os.path.basename(frame.filename)}:{frame.lineno})" for frame in raised)
        return f"{type(error).__name__}: {error}{place}"


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - most commands log text

    class _Json(_Brief, JsonFormatter):
        """Formatter for machines."""

    return _Json(JSON, MOMENT, rename_fields={"asctime": "time", "levelname": "level", "name": "logger"})


class OnceLogger:
    """Logger that logs each sentence once, until it has logged so many that it starts over."""

    def __init__(self, logger: logging.Logger, *, most: int = 1_000) -> None:
        self._logger = logger
        self._most = most
        self._logged: set[str] = set()

    def warn(self, sentences: Collection[str]) -> None:
        """Log the sentences that were not logged before."""
        for sentence in sentences:
            if sentence not in self._logged:
                self._logger.warning("%s", sentence)
        if len(self._logged) > self._most:
            self._logged.clear()
        self._logged.update(sentences)
