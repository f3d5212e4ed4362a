"""Check the codecs: have a real worker process read a tiny picture of each type."""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from cli.doctor.finding import Finding, fix, ok
from cli.doctor.samples import SAMPLES
from core.errors import ImageError
from core.model.fingerprints import PhotoHashes

LIBRARIES: Mapping[str, str] = {"PIL": "Pillow", "pillow_heif": "pillow-heif"}
"""Packages by the name they are imported under; without either of them no picture of any type can be read."""
READ_BY = {"HEIC": "pillow-heif"}
"""Types that a package other than Pillow reads."""


class Reader(Protocol):
    """A reader and hasher of pictures."""

    async def hash_bytes(self, data: bytes) -> PhotoHashes: ...


def check_codecs() -> list[Finding]:
    """Read the samples in a worker process; raises NoWorkers if none can be started."""
    for module, package in LIBRARIES.items():
        try:
            import_module(module)
        except ImportError as error:
            return [fix("codecs", f"no picture can be read, as {package} does not load ({error}): {_remedy(package)}.")]
    return asyncio.run(_read_in_a_worker())


async def _read_in_a_worker() -> list[Finding]:
    from core.workers.pool import PhotoWorkers  # noqa: PLC0415 - it needs the packages that were just checked

    async with PhotoWorkers(1) as reader:
        return await read_samples(reader, SAMPLES)


async def read_samples(reader: Reader, samples: Mapping[str, bytes]) -> list[Finding]:
    """Read a picture of each type."""
    faults = [fault for kind, data in samples.items() if (fault := await _fault(reader, kind, data))]
    return faults or [ok("codecs", f"a worker process reads {', '.join(samples)}")]


async def _fault(reader: Reader, kind: str, data: bytes) -> Finding | None:
    try:
        await reader.hash_bytes(data)
    except ImageError as error:
        package = READ_BY.get(kind, "Pillow")
        return fix("codecs", f"{kind} pictures cannot be read ({type(error).__name__}): {_remedy(package)}.")
    return None


def _remedy(package: str) -> str:
    return f"reinstall it with `pip install --force-reinstall {package}`"
