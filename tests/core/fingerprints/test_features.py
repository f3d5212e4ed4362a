"""Local features: the same for the same pixels, mirrored without a second detection, and small in the store."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from core.fingerprints.features import (
    FIRST_PASS,
    REFERENCE_FEATURES,
    REFERENCE_SIDE,
    RICH_PASS,
    Features,
    _rotations,
    opened,
    photo_features,
    query_features,
)
from core.imaging.decoding import decode
from core.model.fingerprints import FEATURE_BYTES
from tests.pictures import encode, photo, photo_bytes


def pixels(picture):
    return np.asarray(picture.convert("L"))


def test_the_same_picture_has_the_same_features():
    """Extracted twice, features are equal byte for byte."""
    first, second = (photo_features(decode(photo_bytes(1))) for _ in range(2))

    assert first == second


def test_the_rotations_never_change():
    """The rotations behind the codes are orthonormal and the same everywhere: other ones would void every index."""
    rotations = _rotations()

    for part in (rotations[:, :128], rotations[:, 128:]):
        assert np.allclose(part.T @ part, np.eye(128), atol=1e-6)
    signs = hashlib.sha256(np.packbits(rotations > 0).tobytes()).hexdigest()
    assert signs == "95b17c1d7c1b004a87d155c63450b514d31f5e3ab04f2193bf7228a64eca5550"


@pytest.mark.parametrize(
    "picture", [photo(3, (1080, 1350)), photo(4, (300, 2000)), Image.effect_noise((1080, 1080), 90)]
)
def test_features_are_small(picture):
    """At most 12 KB of codes and 8 KB of thumbnail, whatever the picture; the thumbnail keeps its shape."""
    features = photo_features(decode(encode(picture.convert("RGB"), "PNG")))

    assert len(features.codes) <= REFERENCE_FEATURES * FEATURE_BYTES <= 12_000
    assert len(features.thumbnail) <= 8_000
    height, width = opened(features.thumbnail).shape
    assert max(height, width) == REFERENCE_SIDE
    assert width / height == pytest.approx(picture.width / picture.height, rel=0.05)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (40, 30), (500, 500)])
def test_a_blank_picture_has_no_features(size):
    """A picture of one colour, however small, gives a fingerprint without features, and queries without any."""
    blank = Image.new("RGB", size, (90, 90, 90))

    features = photo_features(decode(encode(blank, "PNG")))
    query = query_features(pixels(blank), FIRST_PASS)

    assert (features.codes, len(query.plain), len(query.mirrored)) == (b"", 0, 0)


@given(
    count=st.integers(0, 20),
    seed=st.integers(0, 1000),
)
def test_features_survive_the_store(count, seed):
    """Packed and unpacked, codes are equal, places and angles within a step, sizes within 4 %."""
    random = np.random.default_rng(seed)
    features = Features(
        codes=random.integers(0, 256, (count, 32), dtype=np.uint8),
        points=random.uniform(0, 0.999, (count, 2)).astype(np.float32),
        sizes=random.uniform(0.005, 0.9, count).astype(np.float32),
        angles=random.uniform(0, 2 * np.pi, count).astype(np.float32),
    )

    kept = Features.unpacked(features.packed())

    assert np.array_equal(kept.codes, features.codes)
    assert np.allclose(kept.points, features.points, atol=2 / 65536)
    assert np.allclose(kept.sizes, features.sizes, rtol=0.04)
    assert np.abs(np.angle(np.exp(1j * (kept.angles - features.angles)))).max(initial=0) < 0.02


def test_mirrored_features_are_those_of_the_mirror_image():
    """The features derived for the mirror image are those found in the mirror image."""
    picture = photo(7, (480, 400))

    derived = query_features(pixels(picture), FIRST_PASS).mirrored
    found = query_features(pixels(ImageOps.mirror(picture)), FIRST_PASS).plain

    bits = np.bitwise_count(derived.codes[:, None] ^ found.codes[None]).sum(axis=2, dtype=int)
    nearest = bits.argmin(axis=1)
    is_same = bits.min(axis=1) <= 20
    assert is_same.mean() > 0.8
    assert np.median(np.abs(derived.points - found.points[nearest])[is_same]) < 0.01
    turns = np.angle(np.exp(1j * (derived.angles - found.angles[nearest])))[is_same]
    assert np.median(np.abs(turns)) < 0.05


def test_the_rich_pass_sees_more():
    """The second pass over a query finds more features than the first."""
    picture = pixels(photo(8, (900, 900)))

    assert len(query_features(picture, RICH_PASS).plain) > len(query_features(picture, FIRST_PASS).plain)


def test_bytes_that_are_no_features_are_refused():
    """Packed features come in whole numbers."""
    with pytest.raises(ValueError, match="size"):
        Features.unpacked(bytes(FEATURE_BYTES + 1))
