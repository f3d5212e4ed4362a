"""The log: no line holds a secret, whatever code writes it."""

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from core.service.logs import HIDDEN, start_logging

TOKEN = "123456:ABC-def_ghi"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, afterwards as it was before."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers, root.level = handlers, level


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.usefixtures("root")
def test_no_line_holds_a_secret(capfd: pytest.CaptureFixture[str], style: Literal["text", "json"]) -> None:
    """Secrets in messages, arguments, addresses, exceptions and extra fields are hidden, at every level."""
    start_logging("DEBUG", style, [TOKEN])
    logger = logging.getLogger("anybody")

    logger.debug("GET https://example/bot%s/getMe", TOKEN)
    logger.info("encoded: bot123456%3AABC-def_ghi/getMe")
    logger.warning("said it", extra={"token": TOKEN})
    try:
        int(TOKEN)
    except ValueError:
        logger.exception("failed")

    written = capfd.readouterr().err
    assert "ABC-def_ghi" not in written
    assert written.count(HIDDEN) >= 3
    assert "Traceback" not in written
    assert "test_logs.py:" in written
    if style == "json":
        assert all(json.loads(line) for line in written.splitlines())
