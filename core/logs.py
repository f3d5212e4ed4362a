"""Logs on standard error: text for people, JSON for machines."""

import logging
import sys
from typing import Literal

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
CHATTY = ("PIL", "asyncio", "alembic", "aiosqlite", "sqlalchemy", "apscheduler")
"""Libraries whose facts are not ours; sqlalchemy prints the parameters of statements."""
REDUNDANT = ("sqlalchemy.pool",)
"""Tells with a traceback of connections that could not be given back in good order, and drops them: as it should."""


def start_logging(level: str, style: Literal["text", "json"]) -> None:
    """Send the logs of the whole process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_formatter() if style == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REDUNDANT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - most commands log text

    return JsonFormatter(JSON, rename_fields={"asctime": "time", "levelname": "level", "name": "logger"})
