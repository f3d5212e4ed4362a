"""Photos: small ones made of noise, copies of real ones, folders full of them, and their digests."""

import hashlib
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageOps

SIDE, CELLS, PADDING = 56, 12, 4096
"""Small photos: so many pixels of noise with so many cells a side, and up to so many bytes behind the picture, for
photos of equal size, which igsearch digests first, are rare in practice."""

Digests = dict[str, bytes]
"""SHA-256 by the path below the dataset."""


def files_of(photos: Path) -> list[Path]:
    """Return the files of a folder of <username>/<file>, in order."""
    return sorted(path for path in photos.glob("*/*") if path.is_file())


def shuffled_files(photos: Path, seed: int = 1) -> list[Path]:
    """Return the files of a folder of <username>/<file> in an order that the seed fixes."""
    paths = files_of(photos)
    Random(seed).shuffle(paths)
    return paths


def opened(photo: Path | bytes) -> Image.Image:
    """Open a photo by its path or its bytes, upright and in RGB."""
    with Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


def small_photo(chance: random.Random) -> bytes:
    """Make a JPEG of smooth noise; no two have the same bytes."""
    cells = np.frombuffer(chance.randbytes(CELLS * CELLS * 3), np.uint8).reshape(CELLS, CELLS, 3)
    file = io.BytesIO()
    Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    return file.getvalue() + chance.randbytes(chance.randrange(8, PADDING))


def fill(
    root: Path, *, files: int, folders: int, chance: random.Random, prefix: str = "account", first: int = 0
) -> Digests:
    """Put so many small photos into so many folders; `first` is the number of the first file."""
    return _spread(root, lambda _: small_photo(chance), files=files, folders=folders, prefix=prefix, first=first)


def fill_real(root: Path, photos: Path, *, files: int, folders: int, chance: random.Random, first: int = 0) -> Digests:
    """Put photos of real size into folders: copies of those at hand, each with other bytes behind the picture."""
    originals = files_of(photos)

    def copy(file: int) -> bytes:
        return originals[file % len(originals)].read_bytes() + chance.randbytes(8)

    return _spread(root, copy, files=files, folders=folders, prefix="account", first=first)


def _spread(root: Path, make: Callable[[int], bytes], *, files: int, folders: int, prefix: str, first: int) -> Digests:
    digests: Digests = {}
    for folder in range(folders):
        (root / f"{prefix}{folder:04}").mkdir(parents=True, exist_ok=True)
    for file in range(first, first + files):
        name, data = f"{prefix}{file % folders:04}/{file:06}.jpg", make(file)
        (root / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).digest()
    return digests


def on_disk(root: Path) -> Digests:
    """Digest every JPEG of a dataset."""
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).digest() for path in root.rglob("*.jpg")}


def fresh(folder: Path) -> Path:
    """Make a folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def put(photo: Path, place: Path) -> None:
    """Copy a photo to a place whose folder may not be there yet."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(photo, place)
