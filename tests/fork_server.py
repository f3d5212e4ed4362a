"""Processes of igsearch that begin where its imports end: a server imports the commands once, and forks for each run.

What runs is igsearch's own `main` in a process of its own, with the folder, environment and standard streams that are
given; what it spares is the second of imports that every `python -m igsearch` begins with.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock

ROOT = str(Path(__file__).parents[1])
START_SECONDS = 60.0
LARGEST_REQUEST = 1 << 16
IN_USE = Lock()


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, stdin: bytes, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of igsearch to its end; raises TimeoutExpired, and kills it, when it takes longer."""
    request = json.dumps({"arguments": arguments, "folder": str(folder), "environment": environment}).encode()
    with IN_USE, contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        server = _server()
        socket.send_fds(server, [request], [file.fileno() for file in files])
        pid = int(server.recv(32))
        server.settimeout(seconds)
        try:
            code = int(server.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            server.settimeout(START_SECONDS)
            server.recv(32)
            raise subprocess.TimeoutExpired(list(arguments), seconds) from None
        finally:
            server.settimeout(START_SECONDS)
        for file in files[1:]:
            file.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, files[1].read(), files[2].read())


@cache
def _server() -> socket.socket:
    """Start the server, which ends when this process does, and return the connection to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The environment decides how the interpreter encodes what it prints; one thread, as others do not survive a fork.
    environment = {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    ours.settimeout(START_SECONDS)
    atexit.register(_stop, process, ours)
    return ours


def _stop(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    connection.close()
    process.wait()


def serve(client: socket.socket) -> None:
    """Fork for each request; returns in the child, which is then to run the command, and ends with the client."""
    while True:
        message, streams, _, _ = socket.recv_fds(client, LARGEST_REQUEST, 3)
        if not message:
            os._exit(0)
        child = os.fork()
        if not child:
            client.close()
            _become(json.loads(message), streams)
            return
        for stream in streams:
            os.close(stream)
        client.send(str(child).encode())
        client.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _become(request: dict[str, object], streams: Sequence[int]) -> None:
    """Take the place that a process of its own would have been started in."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    time.tzset()
    sys.argv = ["igsearch", *request["arguments"]]  # type: ignore[misc]


def main() -> None:
    # ruff: noqa: PLC0415 - worker processes of igsearch import this file too, and need no command
    import cli.doctor.command
    import cli.forget
    import cli.index
    import cli.search
    import cli.status  # noqa: F401
    import igsearch

    gc.freeze()  # a collection in a child would copy every page of what was imported
    serve(socket.socket(fileno=int(sys.argv[1])))
    igsearch.main()


if __name__ == "__main__":
    main()
