"""The notifications of a service manager, over a real socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.service.systemd import announced, notifier


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The address of a service manager, once of each kind, and the socket on which it listens."""
    address = str(tmp_path / "notify") if request.param == "file" else f"@igsearch-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.settimeout(10)
        yield address, listener


def test_states_are_sent_as_they_are(manager: tuple[str, socket.socket]) -> None:
    """Each state arrives as a datagram of its own."""
    address, listener = manager
    notify = notifier(address)

    notify("READY=1")
    notify("STATUS=watching, 0 accounts waiting. é")

    assert listener.recv(1000) == b"READY=1"
    assert listener.recv(1000).decode() == "STATUS=watching, 0 accounts waiting. é"


@pytest.mark.parametrize("address", ["", "/no/such/socket", "@no-such-socket", "/" + 200 * "x"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    """A state that no process receives is dropped without an error."""
    notify = notifier(address)

    notify("READY=1")


async def test_a_service_is_announced() -> None:
    """From ready to stopping there is a sign of life."""
    said: list[str] = []

    async with announced(said.append):
        await asyncio.sleep(0)

    assert said == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_manager_that_does_not_listen_holds_nobody_up(manager: tuple[str, socket.socket]) -> None:
    """If the manager's queue is full, further states are dropped."""
    address, listener = manager
    notify = notifier(address)

    for number in range(10_000):
        notify(f"STATUS={number}")

    assert listener.recv(1000) == b"STATUS=0"
