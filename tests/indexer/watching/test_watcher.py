"""The watcher marks the accounts that changed: real folders, the kernel's real events."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from watchdog.utils import BaseThread

from indexer.watching.change_set import MOST_ACCOUNTS, Changes, ChangeSet
from indexer.watching.watch_limits import watch_limit
from indexer.watching.watcher import Watcher

PATIENCE_SECONDS = 30.0
ROOT = "the dataset folder"
HERE = Path(__file__).parents[2]
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
FEW_WATCHES = 'echo 6 > /proc/sys/user/max_inotify_watches && exec "$@"'
LIMITED = ("unshare", "--user", "--map-root-user", "sh", "-c", FEW_WATCHES, "sh")


class ChangeRecorder:
    """A recorder of changes, for any thread."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self.changes = ChangeSet(self._woken.set)
        self.usernames: set[str] = set()
        self.reasons: list[str] = []

    def until(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            assert self._woken.wait(PATIENCE_SECONDS), f"got no more than {self.usernames} and {self.reasons}"
            self._woken.clear()
            changes = self.changes.take()
            self.usernames |= changes.usernames | ({ROOT} if changes.is_root_changed else set())
            self.reasons += [changes.everything] if changes.everything else []

    def until_dirty(self, *usernames: str) -> set[str]:
        """Wait until accounts are dirty; return all that became so."""
        self.until(lambda: self.usernames.issuperset(usernames))
        changed, self.usernames = self.usernames, set()
        return changed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for file in (root / "anna/a.jpg", root / "bob/features/b.jpg", root / "zoe/z.jpg", tmp_path / "outside/c.jpg"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"photo")
    return root


@pytest.fixture
def recorder(root: Path) -> Iterator[ChangeRecorder]:
    """A recorder of the changes below the root."""
    recorder = ChangeRecorder()
    watcher = Watcher(recorder.changes)
    watcher.start(root)
    yield recorder
    is_alive = watcher.is_alive
    watcher.stop()
    assert is_alive or not root.is_dir()


def _bring_folder(root: Path) -> None:
    (root / "carl/features/down").mkdir(parents=True)
    (root / "carl/features/down/a.jpg").touch()


def _read(root: Path) -> None:
    (root / "anna/a.jpg").read_bytes()
    os.utime(root / "anna/a.jpg")
    (root / "anna/a.jpg").chmod(0o600)


def _bring_strays(root: Path) -> None:
    (root / "(1).jpg").touch()
    (root / "two words").mkdir()
    (root / "two words/a.jpg").touch()


HAPPENINGS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "added": (lambda root: (root / "anna/new.jpg").touch(), {"anna"}),
    "written in place": (lambda root: (root / "anna/a.jpg").write_bytes(b"other"), {"anna"}),
    "linked": (lambda root: os.link(root / "anna/a.jpg", root / "bob/features/link.jpg"), {"bob"}),
    "removed": (lambda root: (root / "anna/a.jpg").unlink(), {"anna"}),
    "renamed": (lambda root: (root / "anna/a.jpg").rename(root / "anna/b.jpg"), {"anna"}),
    "moved": (lambda root: (root / "anna/a.jpg").rename(root / "bob/features/a.jpg"), {"anna", "bob"}),
    "moved in": (lambda root: (root.parent / "outside/c.jpg").rename(root / "anna/c.jpg"), {"anna"}),
    "moved out": (lambda root: (root / "anna/a.jpg").rename(root.parent / "outside/a.jpg"), {"anna"}),
    "new account": (_bring_folder, {ROOT, "carl"}),
    "account moved in": (lambda root: (root.parent / "outside").rename(root / "CARL"), {ROOT, "carl"}),
    "account moved out": (lambda root: (root / "bob").rename(root.parent / "bob"), {ROOT, "bob"}),
    "account renamed": (lambda root: (root / "bob").rename(root / "dora"), {ROOT, "bob", "dora"}),
    "account removed": (lambda root: shutil.rmtree(root / "bob"), {ROOT, "bob"}),
    "read": (_read, set()),
    "beside the accounts": (_bring_strays, {ROOT}),
}


@pytest.mark.parametrize("happening", HAPPENINGS)
def test_what_happens_marks_its_accounts(root: Path, recorder: ChangeRecorder, happening: str) -> None:
    """Every change of an account's files marks that account and no other; reading them marks none."""
    act, accounts = HAPPENINGS[happening]

    act(root)
    (root / "zoe/z.jpg").write_bytes(b"the end")

    assert recorder.until_dirty("zoe", *accounts) == {"zoe", *accounts}
    assert recorder.reasons == []


@pytest.mark.parametrize("way", ["renamed", "moved out and back", "removed and made again", "deep"])
def test_a_folder_that_came_is_watched(root: Path, recorder: ChangeRecorder, way: str) -> None:
    """New files are noticed in a folder however it came, with its content."""
    folder, outside = root / "bob", root.parent / "bob"
    if way == "renamed":
        folder = folder.rename(root / "carl")
    elif way == "moved out and back":
        folder.rename(outside)
        recorder.until_dirty("bob")
        outside.rename(folder)
    elif way == "removed and made again":
        shutil.rmtree(folder)
    (folder / "deep/down").mkdir(parents=True, exist_ok=True)
    recorder.until_dirty(folder.name)
    (root / "zoe/z.jpg").write_bytes(b"the last change")
    recorder.until_dirty("zoe")

    (folder / "deep/down/new.jpg").touch()

    assert recorder.until_dirty(folder.name) == {folder.name}


def test_no_name_is_too_odd(root: Path, recorder: ChangeRecorder) -> None:
    """Files and folders with any bytes as names are noticed or ignored, and the watcher lives on."""
    names = [b"\xff\xfe", b"new\nline", b"quote'\"", "é".encode(), "\U0001f600".encode(), b"x" * 255, b"%s{0}"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/anna/" + name)).touch()
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).mkdir()

    (root / "zoe/z.jpg").unlink()

    assert recorder.until_dirty("anna", "zoe") == {ROOT, "anna", "zoe"}
    assert recorder.reasons == []


def test_a_dataset_folder_that_goes_makes_everything_dirty(root: Path, recorder: ChangeRecorder) -> None:
    """No event of an account reports that the dataset itself was removed, so that is a reason to rescan everything."""
    shutil.rmtree(root)

    recorder.until(lambda: bool(recorder.reasons))

    assert "dataset folder" in recorder.reasons[0]


def test_a_link_to_the_dataset_is_followed(root: Path) -> None:
    """A dataset that is named by a link is watched where it lies."""
    link = root.with_name("link")
    link.symlink_to(root)
    recorder = ChangeRecorder()
    watcher = Watcher(recorder.changes)

    watcher.start(link)
    (link / "anna/new.jpg").touch()

    assert recorder.until_dirty("anna") == {"anna"}
    watcher.stop()


def test_an_event_that_cannot_be_told_makes_everything_dirty(root: Path) -> None:
    """If the wake-up call fails, nothing is lost and the watcher lives on."""
    woken = threading.Event()
    failures = [RuntimeError("not now")]

    def wake() -> None:
        if failures:
            raise failures.pop()
        woken.set()

    changes = ChangeSet(wake)
    watcher = Watcher(changes)
    watcher.start(root)
    (root / "anna/new.jpg").touch()
    assert woken.wait(PATIENCE_SECONDS)
    taken = changes.take()
    is_alive = watcher.is_alive
    watcher.stop()

    assert taken.usernames == {"anna"}
    assert taken.everything
    assert "not now" in taken.everything
    assert is_alive


class Listening:
    """What began to wait for events since; what an earlier test left to end does not count."""

    def __init__(self) -> None:
        self._threads, self._descriptors = set(threading.enumerate()), _descriptors()

    @property
    def is_over(self) -> bool:
        began = [thread for thread in threading.enumerate() if thread not in self._threads]
        listeners = [thread for thread in began if isinstance(thread, BaseThread)]
        for thread in listeners:
            thread.join(PATIENCE_SECONDS)
        return not any(thread.is_alive() for thread in listeners) and _descriptors() <= self._descriptors


def _descriptors() -> int:
    """Count the file descriptors that wait for events."""
    files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return sum(file.endswith("anon_inode:inotify") for file in files)


def test_the_end_leaves_nothing_open(root: Path) -> None:
    """Started and stopped again and again, a watcher leaves no thread and no descriptor; one stop more is fine."""
    listening, watcher = Listening(), Watcher(ChangeSet(lambda: None))
    alive = [watcher.is_alive]

    watcher.stop()
    for _ in range(3):
        watcher.start(root)
        alive.append(watcher.is_alive)
        watcher.stop()
        watcher.stop()
        alive.append(watcher.is_alive)

    assert alive == [False, True, False, True, False, True, False]
    assert listening.is_over


def test_what_cannot_be_watched_leaves_nothing_open(tmp_path: Path) -> None:
    """A folder that is not there is an OSError, after which nothing is alive."""
    listening, watcher = Listening(), Watcher(ChangeSet(lambda: None))

    with pytest.raises(OSError, match="No such file"):
        watcher.start(tmp_path / "absent")

    assert not watcher.is_alive
    assert listening.is_over


def watch_and_tell(root: str) -> None:
    """Watch a folder in a separate process; print whether it is limited, and then the reason to rescan everything."""
    woken = threading.Event()
    changes = ChangeSet(woken.set)
    watcher = Watcher(changes)
    watcher.start(Path(root))
    print("limited" if watcher.is_limited else "watching", watch_limit(), flush=True)  # noqa: T201
    while woken.wait():
        woken.clear()
        if reason := changes.take().everything:
            print(reason, flush=True)  # noqa: T201


@contextmanager
def _watch_beside(root: Path, *prefix: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run `watch_and_tell` in another process, for a while; yield it and what it prints."""
    program = "import sys; from tests.indexer.watching.test_watcher import watch_and_tell; watch_and_tell(sys.argv[1])"
    command = [*prefix, sys.executable, "-c", program, str(root)]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(PATIENCE_SECONDS, process.kill)
        killer.start()
        assert process.stdout
        try:
            yield process, process.stdout
        finally:
            killer.cancel()
            process.kill()


def test_an_overflow_makes_everything_dirty(root: Path) -> None:
    """If the kernel's queue of events overflows, everything must be rescanned."""
    many = int(QUEUE.read_text())
    if many > 100_000:
        pytest.skip(f"the kernel keeps {many:,} events here")
    with _watch_beside(root) as (process, printed):
        printed.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        for number in range(many // 2 + 100):
            (root / f"anna/{number}.jpg").touch()
        process.send_signal(signal.SIGCONT)

        reason = printed.readline()

    assert "overflowed" in reason


def test_too_many_folders_are_a_limit_and_no_error(root: Path) -> None:
    """If the kernel allows fewer watches than there are folders, the watcher says so, and knows the limit."""
    if subprocess.run([*LIMITED, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no limit can be set here")
    for number in range(10):
        (root / f"user{number}").mkdir()

    with _watch_beside(root, *LIMITED) as (_, printed):
        said = printed.readline()

    assert said == "limited 6\n"


def test_dirt_wakes_once_until_it_is_taken() -> None:
    """The first account wakes, later ones do not until all are taken; a reason to rescan everything always does."""
    wakes: list[str] = []
    changes = ChangeSet(lambda: wakes.append("wake"))

    changes.mark("anna")
    changes.mark("bob")
    changes.mark("anna")
    after_marks = len(wakes)
    changes.mark_everything("why")
    taken = [changes.take(), changes.take()]
    changes.mark("carl")

    assert (after_marks, len(wakes)) == (1, 3)
    assert taken == [Changes({"anna", "bob"}, everything="why"), Changes()]
    assert changes.take() == Changes({"carl"})


def test_the_changes_are_bounded() -> None:
    """With more accounts than are remembered one by one everything counts as changed; later ones are not lost."""
    changes = ChangeSet(lambda: None)
    for number in range(MOST_ACCOUNTS + 2):
        changes.mark(f"user{number}")

    taken = changes.take()

    assert taken.usernames == {f"user{MOST_ACCOUNTS + 1}"}
    assert taken.everything == "over 10,000 accounts changed at once"
