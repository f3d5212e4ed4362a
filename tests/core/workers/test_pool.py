"""A picture may crash, hang or kill the process that reads it: it gets an error, and no other picture is affected."""

import asyncio
import ctypes
import multiprocessing
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from core.errors import Crashed, ImageError, PathError, TooLarge, TooSlow, Unreadable
from core.workers.pool import PICTURE_MEMORY, PhotoWorkers
from core.workers.tasks import digest_file, hash_bytes, hash_file
from tests.pictures import encode, photo_bytes

DEATH_SECONDS = 10.0


def segfault(_: bytes) -> None:
    ctypes.string_at(0)


def leave(_: bytes) -> None:
    os._exit(3)


def be_killed(_: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def abort(_: bytes) -> None:
    os.abort()


def allocate(_: bytes) -> int:
    return len(bytearray(PICTURE_MEMORY + 1))


def fail(_: bytes) -> None:
    """Raise an unexpected exception."""
    raise ZeroDivisionError


def hang(fifo: bytes) -> None:
    """Write this process's id to the file, if there is one, then never release the interpreter."""
    if fifo:
        Path(os.fsdecode(fifo)).write_text(str(os.getpid()), encoding="ascii")
    sum(range(10**12))


def read_it(fifo: bytes) -> bytes:
    return Path(os.fsdecode(fifo)).read_bytes()


def name_yourself(_: bytes) -> int:
    return os.getpid()


def end_the_first_time(marker: bytes) -> bytes:
    """Receive the SIGTERM of a service manager when run first."""
    with suppress(FileExistsError):
        os.mkdir(marker)
        os.kill(os.getpid(), signal.SIGTERM)
    return b"done"


def write_a_file(path: bytes) -> None:
    Path(os.fsdecode(path)).write_bytes(b"x")


@pytest.fixture
def restarts() -> list[None]:
    """A list with one entry per replacement of workers."""
    return []


@pytest.fixture
async def workers(restarts: list[None]) -> AsyncIterator[PhotoWorkers]:
    async with PhotoWorkers(2, restarted=lambda: restarts.append(None)) as workers:
        yield workers


async def gone(pid: int) -> bool:
    """Wait until a process has ended; False if it does not."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool((await asyncio.to_thread(select.select, [descriptor], [], [], DEATH_SECONDS))[0])
    finally:
        os.close(descriptor)


async def test_a_worker_gives_what_the_process_itself_would(tmp_path, workers):
    """Fingerprints and digests made by a worker are those made here."""
    data = photo_bytes(1)
    path = bytes(tmp_path / "photo.jpg")
    Path(os.fsdecode(path)).write_bytes(data)

    answers = (
        await workers.hash_bytes(data),
        await workers.hash_file(path),
        await workers.digest_file(path),
    )

    assert answers == (hash_bytes(data), hash_file(path), digest_file(path))


async def test_errors_come_through(tmp_path, workers, restarts):
    """A worker's error about a picture arrives unchanged, and the worker lives on."""
    with pytest.raises(Unreadable, match="damaged"):
        await workers.hash_bytes(photo_bytes(1)[:2000])
    with pytest.raises(PathError):
        await workers.hash_file(bytes(tmp_path / "absent.jpg"))
    assert restarts == []


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        (segfault, Crashed),
        (leave, Crashed),
        (be_killed, Crashed),
        (abort, Crashed),
        (allocate, TooLarge),
        (fail, Crashed),
    ],
)
async def test_a_deadly_picture_costs_only_itself(workers, deed, error):
    """Whatever a picture does to its worker, it gets a clear error and the next picture is fine."""
    with pytest.raises(error) as raised:
        await workers._run(deed, b"")
    after = await workers.hash_bytes(photo_bytes(1))

    assert type(raised.value) is error
    assert after == hash_bytes(photo_bytes(1))


async def test_released_workers_come_back(workers):
    """Workers that were stopped while idle are started again for the next picture."""
    before = await workers._run(name_yourself, b"")
    await workers.release()

    after = await workers._run(name_yourself, b"")

    assert before != after
    assert not Path(f"/proc/{before}").exists()


async def test_busy_workers_are_not_released(tmp_path, workers):
    """A picture in progress is finished even if the workers are to be released."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    working = asyncio.create_task(workers._run(read_it, bytes(fifo)))
    writer = await asyncio.to_thread(fifo.open, "wb")

    await workers.release()
    with writer:
        writer.write(b"done")

    assert await working == b"done"


async def test_a_picture_that_takes_too_long_is_stopped(restarts):
    """The time limit kills a worker that never releases the interpreter, and the next picture is fine."""
    async with PhotoWorkers(2, seconds=0.5, restarted=lambda: restarts.append(None)) as workers:
        with pytest.raises(TooSlow, match=r"0\.5 s"):
            await workers._run(hang, b"")

        assert await workers._run(name_yourself, b"")
    assert len(restarts) == 1


async def test_each_of_many_gets_its_own_answer(workers):
    """Among many pictures at once, those beside deadly ones come out right."""
    deeds = [(name_yourself, be_killed, name_yourself, segfault, name_yourself)[n % 5] for n in range(40)]

    answers = await asyncio.gather(*[workers._run(deed, b"") for deed in deeds], return_exceptions=True)

    right = [isinstance(answer, int) == (deed is name_yourself) for deed, answer in zip(deeds, answers, strict=True)]
    assert all(right)
    assert {type(answer) for answer in answers} == {int, Crashed}


async def test_a_worker_killed_at_work_is_a_crash(tmp_path, workers, restarts):
    """If the system kills a worker for its memory, its picture gets an error and is counted; the next one is fine."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    picture = asyncio.ensure_future(workers._run(hang, bytes(fifo)))

    os.kill(int(await asyncio.to_thread(fifo.read_text)), signal.SIGKILL)

    with pytest.raises(Crashed):
        await picture
    assert await workers._run(name_yourself, b"")
    assert len(restarts) == 1


async def test_a_worker_killed_at_rest_is_replaced(workers, restarts):
    """A worker that is killed while idle costs no picture anything, however often it happens, and each is counted."""
    for _ in range(3):
        pid = await workers._run(name_yourself, b"")
        supervisor = workers._pool._pool_manager_loop  # Pebble's thread ends when it finds an idle worker dead

        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(supervisor.join, DEATH_SECONDS)

        assert await workers._run(name_yourself, b"") != pid
    assert len(restarts) == 3


async def test_a_service_manager_s_signal_is_not_the_picture_s_fault(tmp_path, workers):
    """A picture whose worker gets SIGTERM is read by another."""
    assert await workers._run(end_the_first_time, bytes(tmp_path / "marker")) == b"done"


async def test_a_search_that_is_given_up_frees_its_worker(tmp_path):
    """Cancelling a picture stops its worker, and the next picture is fine."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    async with PhotoWorkers(1) as workers:
        picture = asyncio.ensure_future(workers._run(hang, bytes(fifo)))
        pid = int(await asyncio.to_thread(fifo.read_text))

        picture.cancel()

        assert await gone(pid)
        assert await workers._run(name_yourself, b"") != pid


async def test_a_worker_writes_no_files(tmp_path, workers):
    """A decoder that is taken over cannot fill the disk."""
    path = tmp_path / "file"

    with pytest.raises((OSError, ImageError)):
        await workers._run(write_a_file, bytes(path))

    assert path.stat().st_size == 0


async def test_the_largest_picture_fits_into_a_worker():
    """50 megapixels with transparency, which need the most memory of all types, are read."""
    data = encode(Image.new("RGBA", (8_000, 6_250), (9, 200, 3, 77)), "WEBP", quality=1, method=0)

    async with PhotoWorkers(1) as workers:
        hashes = await workers.hash_bytes(data)

    assert (hashes.width, hashes.height) == (8_000, 6_250)


async def test_closing_leaves_no_process(tmp_path):
    """After close() no worker is left, not even one that hangs."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    workers = PhotoWorkers(2)
    picture = asyncio.ensure_future(workers._run(hang, bytes(fifo)))
    await asyncio.to_thread(fifo.read_text)
    pids = [process.pid for process in multiprocessing.active_children() if process.pid]

    picture.cancel()
    await workers.close()

    assert len(pids) >= 2
    assert all([await gone(pid) for pid in pids])


async def test_unused_workers_close():
    """Workers that never had a picture close as well."""
    async with PhotoWorkers(2):
        pass


PROGRAM = """
import asyncio, multiprocessing, os, sys
from pathlib import Path

from core.settings import load_settings
from core.workers.pool import PhotoWorkers

def name_yourself(_):
    return os.getpid(), os.getppid()

def hang(_):
    os.write(1, b"hangs\\n")
    sum(range(10**12))

async def main():
    load_settings(env_file=Path("/nonexistent/.env"))
    workers = PhotoWorkers(2)
    pid, server = await workers._run(name_yourself, b"")
    print(pid, server, *[process.pid for process in multiprocessing.active_children()], flush=True)
    await asyncio.gather(*[workers._run(hang, b"") for _ in range(2)])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
def program(tmp_path):
    """A program with igsearch's secrets in its environment and two hanging workers, and the ids of its processes."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    secrets = {"IGSEARCH_TELEGRAM_TOKEN": "1:hunter2", "IGSEARCH_DATABASE_URL": "mysql://u:hunter2@h/d"}
    environment = os.environ | secrets | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = sorted({int(pid) for pid in process.stdout.readline().split()})
        assert [process.stdout.readline() for _ in range(2)] == ["hangs\n"] * 2
        handles = [os.pidfd_open(pid) for pid in pids]
        yield process, pids
        process.kill()
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def test_workers_know_no_secrets(program):
    """No worker, nor what starts workers, has a token or a password in its environment."""
    _, pids = program

    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in pids]

    assert len(environments) == 3
    assert all(b"PYTHONPATH=" in environment for environment in environments)
    assert not any(b"IGSEARCH_" in environment or b"hunter2" in environment for environment in environments)


async def test_no_worker_outlives_its_parent(program):
    """When the parent is killed its workers end at once, even during a decoder's endless loop."""
    process, pids = program

    process.kill()

    assert all([await gone(pid) for pid in pids])
