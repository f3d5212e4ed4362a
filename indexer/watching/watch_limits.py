"""Read the kernel's limits of watched folders, and explain how to raise them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

WATCH_LIMITS = (Path("/proc/sys/fs/inotify/max_user_watches"), Path("/proc/sys/user/max_inotify_watches"))
MORE_WATCHES = 524_288
"""The default of current distributions; a watch takes 1 KB of kernel memory when it is used."""


def watch_limit(files: Iterable[Path] = WATCH_LIMITS) -> int | None:
    """Return the number of folders that this user may watch, or None if the system does not report it."""
    limits = []
    for file in files:
        with suppress(OSError, ValueError):
            limits.append(int(file.read_text(encoding="ascii")))
    return min(limits, default=None)


def too_few_watches(folders: int, files: Iterable[Path] = WATCH_LIMITS) -> str:
    """Return the sentence that not all folders can be watched, and how to raise the lowest limit."""
    known = {file: limit for file in files if (limit := watch_limit([file])) is not None}
    lowest = min(known, key=lambda file: known[file], default=WATCH_LIMITS[0])
    setting = ".".join(lowest.parts[lowest.parts.index("sys") + 1 :])
    allowed = f"this user's programs may watch only {known[lowest]:,}" if known else "the kernel allows fewer"
    return (
        f"{folders:,} folder(s) are to be watched, but {allowed}, so changes are found by polling: write"
        f" {setting}={max(MORE_WATCHES, 2 * folders)} to /etc/sysctl.d/60-igsearch.conf and run `sysctl --system` (on"
        " the host of a container)."
    )
