"""Tell a service manager such as systemd how we are (sd_notify), where it listens."""

import socket
from collections.abc import Callable
from contextlib import suppress


def notifier(address: str) -> Callable[[str], None]:
    """Return what sends a state, such as READY=1, to a socket; where there is none, nothing is sent."""
    if not address:
        return lambda _state: None
    path = "\0" + address[1:] if address.startswith("@") else address

    def send(state: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(errors="replace"), socket.MSG_DONTWAIT, path)

    return send
