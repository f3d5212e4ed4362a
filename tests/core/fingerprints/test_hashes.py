"""Hashes stay near under edits that do not change a picture, and tell different pictures apart."""

import hashlib
from itertools import combinations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.fingerprints.hashes import HASHES_VERSION, VARIANTS, dihedral
from core.matching.ranking import PDQ_RADIUS
from core.model.fingerprints import PhotoHashes
from core.workers.tasks import digest_file, hash_bytes, hash_file
from tests.pictures import encode, photo, photo_bytes

STEPS = {
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "rotated by about 90 degrees": Image.Transpose.ROTATE_270,  # Pillow turns against the clock
    "rotated by about 180 degrees": Image.Transpose.ROTATE_180,
    "rotated by about 270 degrees": Image.Transpose.ROTATE_90,
}
UNRELATED = 70
seeds = st.integers(0, 2**32)


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def looks(image: Image.Image, kind: str = "BMP", **options: object) -> PhotoHashes:
    """Compute the hashes of a picture by way of a file's bytes."""
    return hash_bytes(encode(image, kind, **options))


def test_a_fingerprint_says_what_it_is_of():
    """A fingerprint holds the SHA-256 of the bytes, the size in pixels and its version."""
    data = photo_bytes(1, "PNG", (400, 300))

    hashes = hash_bytes(data)

    assert hashes.sha256 == hashlib.sha256(data).digest()
    assert (hashes.width, hashes.height, hashes.version) == (400, 300, HASHES_VERSION)
    assert (len(hashes.dhash), len(hashes.pdq)) == (8, 32)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_same_bytes_give_the_same_fingerprint(seed):
    """A fingerprint depends on the bytes alone, and a file's is that of its bytes."""
    data = photo_bytes(seed)

    assert hash_bytes(data) == hash_bytes(bytes(bytearray(data)))


def test_a_file_has_the_fingerprint_and_digest_of_its_bytes(tmp_path):
    """Reading from a file and from memory is one path."""
    data = photo_bytes(1)
    path = tmp_path / "photo"
    path.write_bytes(data)

    of_file, digest = hash_file(bytes(path)), digest_file(bytes(path))

    assert of_file.hashes == hash_bytes(data)
    assert (digest.sha256, digest.stamp) == (of_file.hashes.sha256, of_file.stamp)


def test_the_dhash_is_imagehash_s_own():
    """A small picture has the dhash that ImageHash gives it."""
    image = photo(1)

    assert looks(image).dhash == np.packbits(imagehash.dhash(image).hash).tobytes()


@given(seed=seeds, quality=st.integers(40, 95), scale=st.floats(0.6, 3))
@settings(max_examples=15, deadline=None)
def test_saving_again_keeps_a_picture_near(seed, quality, scale):
    """A re-encoded and resized copy lies well within PDQ's radius, whatever the sizes."""
    image = photo(seed)
    copy = image.resize((round(400 * scale), round(300 * scale)), Image.Resampling.LANCZOS)

    original, near = looks(image), looks(copy, "JPEG", quality=quality)

    assert bits_apart(original.pdq, near.pdq) <= 20
    assert bits_apart(original.dhash, near.dhash) <= 8


def test_different_pictures_are_far_apart():
    """No two made-up photos come near each other."""
    hashes = [looks(photo(seed)).pdq for seed in range(30)]

    assert min(bits_apart(one, other) for one, other in combinations(hashes, 2)) > UNRELATED


@pytest.mark.parametrize("row", range(8))
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_a_turned_picture_is_nearest_in_the_variant_that_names_the_turn(row, seed):
    """Among the eight variants of a turned copy, the near one is that whose words say what was done."""
    reference = photo(seed)
    turned = reference
    for word in VARIANTS[row]:
        turned = turned.transpose(STEPS[word])

    expected, variants = looks(reference).pdq, dihedral(looks(turned).pdq)
    distances = [bits_apart(expected, variant.tobytes()) for variant in variants]

    assert distances.index(min(distances)) == row
    assert min(distances) <= PDQ_RADIUS


@given(pdq=st.binary(min_size=32, max_size=32))
@settings(max_examples=50, deadline=None)
def test_the_first_variant_is_the_picture_itself(pdq):
    """An untouched copy is compared as it is, and eight variants are eight."""
    variants = dihedral(pdq)

    assert variants.shape == (8, 32)
    assert variants[0].tobytes() == pdq


FLAT = {
    "black": Image.new("L", (300, 200)),
    "white": Image.new("RGB", (300, 200), "white"),
    "red": Image.new("RGB", (1080, 1080), "red"),
    "transparent": Image.new("RGBA", (300, 200), (200, 10, 10, 0)),
    "one pixel": Image.new("RGB", (1, 1), "green"),
    "one line": Image.new("L", (5000, 1), 77),
    "gradient": Image.linear_gradient("L").resize((800, 600)),
    "radial gradient": Image.radial_gradient("L").resize((800, 600)),
    "faint noise": Image.fromarray(np.random.default_rng(1).integers(100, 104, (300, 400)).astype(np.uint8)),
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("name", FLAT)
def test_a_picture_without_detail_is_flat(name, kind):
    """One colour, a plain gradient or faint noise is nothing to recognise a picture by."""
    image = FLAT[name].convert("RGB") if kind == "JPEG" else FLAT[name]

    assert looks(image, kind).is_flat


def test_a_hidden_picture_is_flat():
    """Fully transparent areas are not seen, whatever colours lie under them."""
    image = photo(1)
    image.putalpha(0)

    assert looks(image, "PNG").is_flat


def test_a_line_of_text_on_one_colour_is_sparse():
    """A drawn card is told apart from a photo: near hashes prove nothing about it."""
    card = Image.new("RGB", (600, 600), "navy")
    card.paste("white", (100, 280, 500, 300))

    hashes = looks(card)

    assert hashes.is_sparse
    assert not hashes.is_flat


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_photo_is_neither_flat_nor_sparse(seed):
    """A picture full of detail may match."""
    hashes = looks(photo(seed), "JPEG")

    assert not hashes.is_flat
    assert not hashes.is_sparse
