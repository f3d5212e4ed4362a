"""The checks of `igsearch doctor`: each fault is planted for real, and named in one finding with its remedy."""

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.doctor.codecs import read_samples
from cli.doctor.finding import Finding, finding_json, finding_text, fix, ok, skipped
from cli.doctor.machine import PHOTO_BYTES, START_BYTES, WORKER_BYTES, System, check_clock, check_memory
from cli.doctor.runner import CheckRunner
from cli.doctor.samples import SAMPLES
from cli.doctor.settings import check_settings
from cli.doctor.storage_space import MARGIN_BYTES, SNAPSHOT_BYTES, SQLITE_BYTES, Want, check_cache, check_disk, wants
from core.errors import StoreError
from core.model.fingerprints import PhotoHashes
from core.settings import read_settings
from core.workers.tasks import hash_bytes

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOWHERE = Path("no-such.env")
GB = 10**9


def faults(findings: list[Finding]) -> list[str]:
    """Return what is to be fixed."""
    return [finding.detail for finding in findings if finding.state == "fix"]


def test_a_finding_is_one_line_whatever_it_says() -> None:
    """Text begins with the mark and the check's name; JSON is one object of the three fields."""
    findings = ok("dataset", "well"), fix("cache", "a\nfault"), skipped("discord", "there is no token")

    assert [finding_text(finding) for finding in findings] == [
        "OK   dataset: well",
        "FIX  cache: a fault",
        "--   discord: not checked, because there is no token",
    ]
    assert finding_json(findings[1]) == '{"check": "cache", "state": "fix", "detail": "a\\nfault"}'


async def test_a_check_that_hangs_is_left_behind() -> None:
    """Its time over, it is something to fix; the others are told as ever, in the order of the checks."""
    runner, never = CheckRunner((), seconds=0.05), threading.Event()

    await asyncio.gather(
        runner.check("cache", lambda: [ok("cache", "well")]),
        runner.look("database", never.wait),
    )
    never.set()

    assert [(finding.check, finding.state) for finding in runner.findings] == [
        ("database", "fix"),
        ("cache", "ok"),
    ]
    assert runner.has_left_behind
    assert not runner.is_well


async def test_what_a_check_raises_is_its_finding_without_secrets() -> None:
    """Our errors are told as they are, others as faults of ours, and a token in them is hidden."""
    runner = CheckRunner(["1:hush-hush"])

    def refuse() -> list[Finding]:
        raise StoreError("The database is away.")

    def break_down() -> list[Finding]:
        raise ValueError("https://host/bot1:hush-hush/getMe")

    await runner.check("database", refuse)
    await runner.check("telegram", break_down)

    told = [finding.detail for finding in runner.findings]
    assert told[0] == "The database is away."
    assert "ValueError: https://host/bot[hidden]/getMe" in told[1]
    assert not runner.has_left_behind


def test_every_wrong_setting_is_named_and_the_rest_is_taken() -> None:
    """Wrong values and misspelt names are a finding each, without the value."""
    wrong = {"IGSEARCH_RESCAN": "sometimes", "IGSEARCH_WORKERS": "0", "IGSEARCH_TELEGRAM_TOKN": "12:hush"}
    reading = read_settings({**wrong, "IGSEARCH_SETTLE_SECONDS": "7", "IGSEARCH_NONSENSE_XYZ": "1"}, NOWHERE)

    told = faults(check_settings(reading, NOWHERE))

    assert [fault.split(":")[0] for fault in told] == [
        "IGSEARCH_RESCAN",
        "IGSEARCH_WORKERS",
        "IGSEARCH_NONSENSE_XYZ",
        "IGSEARCH_TELEGRAM_TOKN",
    ]
    assert told[3] == "IGSEARCH_TELEGRAM_TOKN: there is no such setting: write IGSEARCH_TELEGRAM_TOKEN."
    assert "hush" not in " ".join(told)
    assert (reading.settings.settle_seconds, reading.settings.rescan) == (7, "15m")


def test_secrets_that_others_have_rights_to_are_named(tmp_path: Path) -> None:
    """A .env that others read and a secret's file that others write are to be closed; then all is well."""
    env_file, secret = tmp_path / ".env", tmp_path / "token"
    env_file.write_text(f"IGSEARCH_DISCORD_TOKEN_FILE={secret}\nIGSEARCH_LOG_LEVEL=\n")
    secret.write_text("hush")
    env_file.chmod(0o644)
    secret.chmod(0o666)

    open_to_all = faults(check_settings(read_settings({}, env_file), env_file))
    env_file.chmod(0o600)
    secret.chmod(0o444)
    closed = check_settings(read_settings({"IGSEARCH_WORKERS": "2"}, env_file), env_file)

    assert [fault.partition(": run ")[2] for fault in open_to_all] == [
        f"`chmod 600 {env_file}`.",
        f"`chmod go-w {secret}`.",
    ]
    assert closed == [ok("settings", "1 in the environment and 1 in .env, all well")]


def test_a_cache_folder_is_well_or_can_be_made(tmp_path: Path) -> None:
    """Nothing is left in one that is there, and none is made."""
    there = tmp_path / "cache"
    there.mkdir(mode=0o755)

    findings = check_cache(there) + check_cache(tmp_path / "not/yet")

    assert [finding.state for finding in findings] == ["ok", "ok"]
    assert [path.name for path in tmp_path.rglob("*")] == ["cache"]


@pytest.mark.parametrize("below", ["", "igsearch"])
def test_a_file_in_the_place_of_the_cache_folder_is_named(tmp_path: Path, below: str) -> None:
    """Whether it is the folder itself or one above."""
    (tmp_path / "cache").write_text("")

    [fault] = faults(check_cache(tmp_path / "cache" / below))

    assert fault.startswith(f"{tmp_path / 'cache'} is not a folder")


def test_a_cache_folder_that_others_write_is_named(tmp_path: Path) -> None:
    """What is found comes from there."""
    tmp_path.chmod(0o777)

    assert f"chmod go-w {tmp_path}" in faults(check_cache(tmp_path))[0]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """What mounts a file system of its own with some options; where nothing may be mounted, its test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=False).returncode:
            pytest.skip("nothing can be mounted here")
        return place

    yield mount
    subprocess.run(["umount", place], check=False, capture_output=True)


def test_a_full_disk_is_named(mounted: Callable[[str], Path]) -> None:
    """A disk of 1 MB is too small for the margin alone; folders that are not there yet count with those above."""
    tiny_disk = mounted("size=1m")
    cramped = Want("the cache", tiny_disk / "not/yet", 0), Want("temporary files", tiny_disk, 5)

    [fault] = faults(check_disk([Want("the database", Path("/"), 0), *cramped]))

    assert fault.startswith(f"at {tiny_disk} (the cache, temporary files) 100 MB may be needed, and 1 MB is free")


def test_a_disk_without_inodes_is_named(mounted: Callable[[str], Path]) -> None:
    """Space is of no use where no file can be made."""
    disk = mounted("size=200m,nr_inodes=20")

    assert faults(check_disk([Want("the cache", disk, 0)])) == [
        f"no more files can be created at {disk} (its inodes are used up): remove some files there."
    ]


def test_only_new_photos_need_room_in_the_database(tmp_path: Path) -> None:
    """Snapshots are of all photos, old and new one side by side; of a server's disk nothing is known but the need."""
    needs = wants(1000, 100, database=tmp_path / "db", cache=tmp_path, temporary=tmp_path)

    assert [(want.what, want.count) for want in needs] == [
        ("the database", 100 * SQLITE_BYTES),
        ("the cache", 2000 * SNAPSHOT_BYTES),
        ("temporary files", 0),
    ]
    [on_server] = check_disk([], of_server=2 * GB)
    assert on_server.detail == "the database server needs 2.0 GB more"
    assert sum(want.count for want in needs) < MARGIN_BYTES


def test_the_tightest_room_decides_about_memory(tmp_path: Path) -> None:
    """Machine, either kind of cgroup and address space: whichever leaves least is named, with what is needed."""
    needed = START_BYTES + 1000 * PHOTO_BYTES + 2 * WORKER_BYTES
    machine = fake_system(tmp_path / "1", available=needed - 2_000_000)
    group = fake_system(tmp_path / "2", available=64 * GB, v2=(GB, GB - needed + 4_000_000, 3_000_000))
    old_group = fake_system(tmp_path / "3", available=64 * GB, v1=(GB, GB - needed + 4_000_000, 3_000_000))
    addresses = System(machine.proc, machine.cgroups, address_space=GB // 2)

    told = [faults(check_memory(1000, 2, system))[0] for system in (machine, group, old_group, addresses)]

    assert [fault.partition("left in ")[2].partition(":")[0] for fault in told] == [
        "this machine",
        "this container (cgroup)",
        "this container (cgroup)",
        "the address space of a process (ulimit -v)",
    ]
    assert all("404 MB needed for 1,000 photos and 2 worker(s)" in fault for fault in told[:3])


def test_what_a_running_service_has_is_not_needed_once_more(tmp_path: Path) -> None:
    """Beside a daemon that has its memory already, all is well; other programs' memory is gone."""
    tight = fake_system(tmp_path, available=START_BYTES, v2=(2**63 // 4096 * 4096, 0, 0))
    service = tight.proc / "77"
    service.mkdir()
    (service / "status").write_text(f"Name:\tpython\nRssAnon:\t  {WORKER_BYTES // 1000} kB\n")

    (service / "cmdline").write_bytes(b"python\0-m\0other\0run\0")
    beside_another = check_memory(0, 1, tight)
    (service / "cmdline").write_bytes(b"python\0/usr/bin/igsearch\0watch\0")
    beside_ours = check_memory(0, 1, tight)

    assert [found.state for found in (*beside_another, *beside_ours)] == ["fix", "ok"]


def test_this_system_tells_its_memory() -> None:
    """The files of the kernel we run on are understood."""
    [finding] = check_memory(0, 0, System())

    assert finding.state == "ok"
    assert "left in this" in finding.detail


def test_without_any_word_of_the_system_memory_is_not_checked(tmp_path: Path) -> None:
    """What cannot be known is no fault."""
    assert check_memory(10**9, 1, System(tmp_path, tmp_path))[0].state == "skipped"


def fake_system(
    folder: Path,
    *,
    available: int,
    v2: tuple[int, int, int] | None = None,
    v1: tuple[int, int, int] | None = None,
) -> System:
    """Make files as the kernel has them; a group's numbers are limit, usage, and what is kept of files in that."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 999 kB\nMemAvailable:   {available // 1024} kB\n")
    (proc / "self/cgroup").write_text("3:cpuset:/\n4:memory:/docker/of/the/host\n0::/a/b\n")
    for place, names, figures in (
        (cgroups / "a", ("memory.max", "memory.current", "inactive_file"), v2),
        (cgroups / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"), v1),
    ):
        place.mkdir(parents=True)
        if figures:
            (place / names[0]).write_text(f"{figures[0]}\n")
            (place / names[1]).write_text(f"{figures[1]}\n")
            (place / "memory.stat").write_text(f"anon 5\n{names[2]} {figures[2]}\n")
    (cgroups / "memory.max").write_text("max\n")
    return System(proc, cgroups)


@pytest.mark.parametrize(
    ("ahead", "moments", "words"),
    [
        ({"Telegram": timedelta(seconds=300)}, {}, "300 s later by the clock of Telegram"),
        ({"Telegram": timedelta(0), "the database server": -timedelta(hours=1)}, {}, "3,600 s earlier by the clock of"),
        ({}, {"the newest image": NOW + timedelta(days=9)}, "the newest image is from 2026-12-04 12:00"),
    ],
)
def test_a_clock_that_is_off_is_named(
    ahead: dict[str, timedelta | None], moments: dict[str, datetime], words: str
) -> None:
    """By what others say, or by what is in the store from the future."""
    [fault] = faults(check_clock(NOW, ahead, moments))

    assert words in fault
    assert "timedatectl set-ntp true" in fault


def test_a_clock_that_agrees_is_well() -> None:
    """Half a minute is nothing, and a server that says nothing either; 1970 is wrong though nobody says so."""
    near = {"Telegram": timedelta(seconds=30), "the database server": None}

    [agreed] = check_clock(NOW, near, {"the newest image": NOW})
    [reset] = check_clock(datetime(1970, 1, 1, tzinfo=UTC), {}, {})

    assert agreed == ok("clock", "it is 2026-11-25 12:00:00 UTC here, and by the clock of Telegram")
    assert reset.state == "fix"


class InProcess:
    """Reads pictures here, as a worker does."""

    async def hash_bytes(self, data: bytes) -> PhotoHashes:
        return hash_bytes(data)


async def test_a_type_that_cannot_be_read_is_named_with_its_package() -> None:
    """One broken decoder is one finding, and no other type is blamed."""
    broken = {kind: data if kind not in {"AVIF", "HEIC"} else data[:-40] for kind, data in SAMPLES.items()}

    told = faults(await read_samples(InProcess(), broken))

    assert [fault.split()[0] for fault in told] == ["AVIF", "HEIC"]
    assert told[0].endswith("`pip install --force-reinstall Pillow`.")
    assert told[1].endswith("`pip install --force-reinstall pillow-heif`.")
