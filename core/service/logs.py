"""Logs on standard error: text for people, JSON for machines, secrets for nobody."""

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
"""Libraries whose facts are not ours; sqlalchemy prints the parameters of statements, httpx every URL."""
REDUNDANT = ("discord", "sqlalchemy.pool", "telegram")
"""Tell with a traceback of what they mend, or raise too: connections that could not be given back, answers of a proxy
that are no JSON."""
HIDDEN = "[hidden]"
SHORTEST_SECRET = 4
"""A shorter one hides nothing, but would be taken out of every other word."""


def start_logging(level: str, style: Literal["text", "json"], secrets: Collection[str] = ()) -> None:
    """Send the logs of the whole process to standard error, without secrets, whoever logs them."""
    handler = _StandardError(secrets)
    handler.setFormatter(_json_formatter() if style == "json" else _Brief(TEXT, MOMENT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REDUNDANT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def hider(secrets: Collection[str]) -> Callable[[str], str]:
    """Return what takes secrets out of a text, also as they are written in a URL."""
    forms = {form for secret in secrets for form in (secret, quote(secret), quote(secret, safe=""))}
    hidden = [form for form in forms if len(form) >= SHORTEST_SECRET]

    def hide(text: str) -> str:
        for form in hidden:
            text = text.replace(form, HIDDEN)
        return text

    return hide


_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _StandardError(logging.Handler):
    """Writes to standard error at once, and loses a line where that fails.

    A full disk or a closed terminal would otherwise leave lines in a buffer, which fails whoever flushes it: the start
    of a worker process, for one.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        self._hidden = hider(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            os.write(STANDARD_ERROR, f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; secrets are taken out of the whole, for they hide in arguments, URLs and exceptions."""
        return self._hidden(super().format(record))


class _Brief(logging.Formatter):
    """Writes an exception as one line, with the place that raised it: nobody meets a traceback."""

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 - the name is logging's
        _, error, trace = ei
        raised = extract_tb(trace)[-1:]
        place = "".join(f" ({os.path.basename(frame.filename)}:{frame.lineno})" for frame in raised)
        return f"{type(error).__name__}: {error}{place}"


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - most commands log text

    class _Json(_Brief, JsonFormatter):
        """Lines for machines."""

    return _Json(JSON, MOMENT, rename_fields={"asctime": "time", "levelname": "level", "name": "logger"})


class OnceLogger:
    """Logs each sentence once, until it has logged so many that it begins anew."""

    def __init__(self, logger: logging.Logger, *, most: int = 1_000) -> None:
        self._logger = logger
        self._most = most
        self._logged: set[str] = set()

    def warn(self, sentences: Collection[str]) -> None:
        """Log those that were not logged before."""
        for sentence in sentences:
            if sentence not in self._logged:
                self._logger.warning("%s", sentence)
        if len(self._logged) > self._most:
            self._logged.clear()
        self._logged.update(sentences)
