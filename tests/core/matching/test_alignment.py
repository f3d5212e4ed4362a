"""Geometric verification: the map is found among wrong pairs, and none is made of chance."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.fingerprints.features import Features
from core.matching.alignment import TOLERANCE, align, fit_affine, scale_of

RANDOM = np.random.default_rng(5)


def features(count, seed):
    random = np.random.default_rng(seed)
    return Features(
        codes=random.integers(0, 256, (count, 32), dtype=np.uint8),
        points=random.uniform(0, 1, (count, 2)).astype(np.float32),
        sizes=random.uniform(0.01, 0.1, count).astype(np.float32),
        angles=random.uniform(0, 2 * np.pi, count).astype(np.float32),
    )


def joined(*parts):
    return Features.joined(list(parts))


def moved(given_features, scale, turn, shift, *, bits, seed):
    """The features as a similarity shows them, with some bits of each code flipped."""
    random = np.random.default_rng(seed)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    flips = random.random((len(given_features), 256)) < bits / 256
    return Features(
        codes=given_features.codes ^ np.packbits(flips, axis=1),
        points=(given_features.points @ linear.T + shift).astype(np.float32),
        sizes=given_features.sizes * np.float32(scale),
        angles=np.mod(given_features.angles + np.float32(turn), 2 * np.pi).astype(np.float32),
    )


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.3, 2.5),
    turn=st.floats(0, 6.28),
    across=st.floats(-1, 1),
    down=st.floats(-1, 1),
    seed=st.integers(0, 999),
)
def test_the_map_is_found_among_wrong_pairs(scale, turn, across, down, seed):
    """Any similarity is recovered from 12 true pairs, 25 bits apart, among hundreds of unrelated features."""
    shared = features(12, seed)
    query = joined(shared, features(300, seed + 1000))
    reference = joined(moved(shared, scale, turn, (across, down), bits=25, seed=seed), features(100, seed + 2000))

    found = align(query, reference)

    assert found is not None
    assert found.geometry.inliers >= 9
    assert found.geometry.hamming < 40
    assert abs(np.log(scale_of(found.map) / scale)) < 0.2
    placed = shared.points @ found.map[:, :2].T + found.map[:, 2]
    truth = moved(shared, scale, turn, (across, down), bits=0, seed=seed).points
    assert np.median(np.linalg.norm(placed - truth, axis=1)) < TOLERANCE


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999))
def test_chance_makes_no_map(seed):
    """Unrelated features never agree at more than three places."""
    found = align(features(400, seed), features(150, seed + 5000))

    assert found is None or found.geometry.inliers <= 3


def test_features_at_one_place_are_one_witness():
    """Many features of one spot count once: they prove no map."""
    spot = features(20, 1)
    spot = Features(spot.codes, np.full((20, 2), 0.5, np.float32), spot.sizes, spot.angles)

    found = align(spot, spot)

    assert found is None or found.geometry.inliers == 1


def test_without_features_there_is_no_map():
    """A picture without features aligns with nothing, and nothing with it."""
    none, some = features(0, 1), features(50, 2)

    assert [align(none, some), align(some, none), align(none, none)] == [None] * 3


def test_the_affine_fit_is_exact_for_exact_points():
    """Points mapped by an affine map give that map."""
    truth = np.array([[0.7, -0.2, 0.1], [0.3, 1.1, -0.4]])
    here = RANDOM.uniform(0, 1, (8, 2))

    found = fit_affine(here, here @ truth[:, :2].T + truth[:, 2], np.ones(8))

    assert np.allclose(found, truth)
