"""Tell a service manager such as systemd how we are (sd_notify), where it asks for that by NOTIFY_SOCKET."""

import socket
from collections.abc import Callable, MutableMapping
from contextlib import suppress


def notifier(environment: MutableMapping[str, str]) -> Callable[[str], None]:
    """Return what sends a state, such as READY=1; where nobody asks, nothing is sent.

    The variable is taken out of the environment, so that no process started later speaks for us.
    """
    address = environment.pop("NOTIFY_SOCKET", "")
    if not address:
        return lambda _state: None
    path = "\0" + address[1:] if address.startswith("@") else address

    def send(state: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(), socket.MSG_DONTWAIT, path)

    return send
