"""The detector notices what no event reports: a missing or replaced dataset, dead threads, too few watches."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from watchdog.utils import BaseThread

from core.dataset import Dataset
from indexer.watching.change_detector import POLL_SECONDS, RETRY_EVENTS_SECONDS, ChangeDetector

PATIENCE_SECONDS = 30.0
HERE = Path(__file__).parents[2]
LIMIT = Path("/proc/sys/user/max_inotify_watches")
LIMITED = ("unshare", "--user", "--map-root-user", "sh", "-c", f'echo 6 > {LIMIT} && exec "$@"', "sh")


class Bench:
    """A dataset with a detector, whose clock stands still."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 0.0
        self._others = set(threading.enumerate())
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self.detector = ChangeDetector(Dataset(root), self._wake, lambda: self.now)

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    def put(self, path: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(b"photo")

    @property
    def threads(self) -> list[BaseThread]:
        """Return the threads of watchers that began since; one that an earlier test left to end does not count."""
        began = set(threading.enumerate()) - self._others
        return [thread for thread in began if isinstance(thread, BaseThread)]

    async def reason(self) -> str | None:
        """Check once; return the reason to rescan everything."""
        await self.detector.look()
        return self.detector.take().everything

    async def until_dirty(self, username: str) -> None:
        """Wait for an event."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while username not in self.detector.take().usernames:
                await self._woken.wait()
                self._woken.clear()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "images")
    bench.put("anna/a.jpg")
    yield bench
    await bench.detector.stop()


async def test_the_first_look_makes_everything_dirty_and_brings_events(bench: Bench) -> None:
    """At the start there is a reason to rescan everything, later there is none, and changes are detected."""
    reasons = [await bench.reason(), await bench.reason()]
    bench.put("anna/b.jpg")

    await bench.until_dirty("anna")

    assert reasons == ["start", None]
    assert bench.detector.identity == (bench.root.stat().st_dev, bench.root.stat().st_ino)
    assert (bench.detector.fault, bench.detector.limits) == (None, None)


async def test_another_dataset_makes_everything_dirty(bench: Bench) -> None:
    """If the dataset folder is replaced between two checks, its identity changes, and the new one is watched."""
    await bench.reason()
    before = bench.detector.identity
    bench.root.rename(bench.root.with_name("aside"))
    bench.root.mkdir()

    reason = await bench.reason()
    after = bench.detector.identity
    bench.put("bob/b.jpg")
    await bench.until_dirty("bob")

    assert reason
    assert after == (bench.root.stat().st_dev, bench.root.stat().st_ino) != before


async def test_a_dataset_made_again_makes_everything_dirty(bench: Bench) -> None:
    """A dataset folder that was removed and made again is noticed though the disk may give it the same inode."""
    await bench.reason()
    shutil.rmtree(bench.root)
    bench.root.mkdir()

    reason = None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not reason:
            reason = await bench.reason()

    assert "dataset folder" in reason or "died" in reason


async def test_an_absent_dataset_is_a_fault_that_heals(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """While the dataset is missing that is logged once and its state is unknown; when it is back everything works."""
    await bench.reason()
    aside = bench.root.rename(bench.root.with_name("aside"))
    await bench.reason()
    absent = (bench.detector.identity, bench.detector.fault)
    bench.now = POLL_SECONDS
    await bench.reason()
    warnings = list(caplog.messages)

    aside.rename(bench.root)
    reason = await bench.reason()
    bench.put("anna/b.jpg")
    await bench.until_dirty("anna")

    assert absent[0] is None
    assert str(bench.root) in str(absent[1])
    assert len(warnings) == 1
    assert reason
    assert bench.detector.identity
    assert bench.detector.fault is None


@pytest.mark.parametrize("kind", ["BaseObserver", "InotifyEmitter", "_Notifier"])
async def test_a_dead_thread_makes_everything_dirty_and_lives_again(bench: Bench, kind: str) -> None:
    """Whichever thread of the watcher died, the next check restarts it and rescans, because events were lost."""
    await bench.reason()
    ended = [thread for thread in bench.threads if type(thread).__name__ == kind]
    for thread in ended:
        thread.stop()
        await asyncio.to_thread(thread.join)
    bench.put("anna/unnoticed.jpg")

    reasons = [await bench.reason(), await bench.reason()]
    bench.put("anna/noticed.jpg")
    await bench.until_dirty("anna")

    assert len(ended) == 1
    assert reasons == ["the watcher died", None]


async def test_to_stop_is_always_allowed(bench: Bench) -> None:
    """A detector that never ran, or was already stopped, may be stopped, and leaves no thread behind."""
    await bench.detector.stop()
    await bench.reason()
    await bench.detector.stop()
    await bench.detector.stop()

    for thread in bench.threads:
        await asyncio.to_thread(thread.join, PATIENCE_SECONDS)
    assert not bench.threads


async def _look_with_few_watches(root: Path) -> dict[str, object]:
    """Look at a dataset of more folders than may be watched, until the limit is raised; return what was seen."""
    bench = Bench(root)
    began, few = await bench.reason(), bench.detector.limits
    bench.put("anna/swept.jpg")
    bench.now = POLL_SECONDS
    await bench.detector.look()
    swept = bench.detector.take().usernames
    LIMIT.write_text("100")
    bench.now += RETRY_EVENTS_SECONDS
    await bench.detector.look()
    enough = bench.detector.limits
    bench.put("bob/noticed.jpg")
    await bench.until_dirty("bob")
    await bench.detector.stop()
    return {"began": began, "few": few, "swept": sorted(swept), "enough": enough}


def look_with_few_watches(root: str) -> None:
    print(json.dumps(asyncio.run(_look_with_few_watches(Path(root)))))  # noqa: T201


def test_with_too_few_watches_folders_are_polled_until_there_are_enough(tmp_path: Path) -> None:
    """Without events new photos are found by polling, the remedy is named, and events come once the limit suffices."""
    if subprocess.run([*LIMITED, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no limit can be set here")
    for name in ("anna", "bob", *(f"user{number}" for number in range(10))):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, ns=(1, 1))
    os.utime(tmp_path, ns=(1, 1))
    module = "tests.indexer.watching.test_change_detector"
    program = f"import sys; from {module} import look_with_few_watches as look; look(sys.argv[1])"
    command = [*LIMITED, sys.executable, "-c", program, str(tmp_path)]

    ended = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    seen = json.loads(ended.stdout)
    few = seen.pop("few")
    assert "changes are found by polling" in few
    assert "user.max_inotify_watches=" in few
    assert seen == {"began": "start", "swept": ["anna"], "enough": None}
