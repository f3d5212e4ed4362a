"""Check the settings: wrong values, unknown names, and files with secrets that others may read or write."""

import stat
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from cli.doctor.finding import Finding, fix, ok
from core.settings import FILE_VARIABLES, VARIABLES, Reading

READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check_settings(reading: Reading, env_file: Path = Path(".env")) -> list[Finding]:
    wrong = [f"{fault}." for fault in reading.faults]
    faults = [*wrong, *_unknown(reading), *_exposed(reading, env_file)]
    return [fix("settings", fault) for fault in faults] or [ok("settings", _counted(reading))]


def _unknown(reading: Reading) -> Iterator[str]:
    """Yield a fault for each variable that nothing reads, most often a misspelt one."""
    for name in sorted((reading.in_environment | reading.in_file) - VARIABLES - FILE_VARIABLES):
        near = get_close_matches(name, VARIABLES | FILE_VARIABLES, n=1)
        yield f"{name}: there is no such setting: " + (f"write {near[0]}." if near else "remove it.")


def _exposed(reading: Reading, env_file: Path) -> Iterator[str]:
    """Yield a fault for each file with secrets that others have rights to."""
    if _mode(env_file) & READ_BY_OTHERS:
        yield f"{env_file} can be read by others, and may hold tokens: run `chmod 600 {env_file}`."
    for name, file in reading.secret_files.items():
        if _mode(file) & WRITTEN_BY_OTHERS:
            yield f"{name}: the file {file} can be changed by others: run `chmod go-w {file}`."


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except OSError:
        return 0


def _counted(reading: Reading) -> str:
    counts = {"in the environment": len(reading.in_environment), "in .env": len(reading.in_file)}
    places = " and ".join(f"{count} {place}" for place, count in counts.items() if count)
    return f"{places}, all well" if places else "none is set, all have their defaults"
