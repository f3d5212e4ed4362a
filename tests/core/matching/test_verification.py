"""Candidates are examined: true copies give strong evidence, other pictures weak or none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from core.fingerprints.features import FIRST_PASS, photo_features, query_features
from core.imaging.decoding import decode
from core.matching.calibration import confidence, is_drawn, models, signals
from core.matching.placement import words
from core.matching.ranking import ACCEPTED_CONFIDENCE
from core.matching.verification import DENSE_CHECKS, verify
from tests.pictures import encode, photo

SIZE = (640, 800)
KNOWN = photo(1, SIZE)
CANDIDATES = [(seed, photo_features(decode(encode(photo(seed, SIZE), "JPEG")))) for seed in range(1, 9)]


def examined(picture, *, is_mirrored=False):
    pixels = decode(encode(picture, "JPEG", quality=80)).pixels
    features = query_features(pixels, FIRST_PASS)
    chosen = features.mirrored if is_mirrored else features.plain
    return verify(pixels, chosen, CANDIDATES, is_mirrored=is_mirrored)


def inside_a_screenshot(picture):
    screen = Image.new("RGB", (720, 1500), "white")
    screen.paste(picture.resize((560, 700)), (80, 300))
    ImageDraw.Draw(screen).text((90, 60), "some.user and 412 others like this", fill="black", font_size=30)
    return screen


EDITS = {
    "cropped": (lambda picture: picture.crop((100, 150, 500, 640)), {"cropped to about 38 %"}),
    "screenshot": (inside_a_screenshot, {"part of a larger picture"}),
    "tilted": (lambda picture: picture.rotate(-12, expand=True), {"rotated by about 12 degrees"}),
    "darker": (lambda picture: picture.point(lambda level: level // 2), {"recompressed"}),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_copy_is_proved_and_described(name):
    """The edited photo's own fingerprint comes first, sure, with the words for what was done."""
    edit, expected = EDITS[name]

    evidence = examined(edit(KNOWN))

    assert evidence[0].photo_id == 1
    assert confidence(evidence[0]) > ACCEPTED_CONFIDENCE
    assert expected <= set(words(evidence[0].placement))
    assert all(confidence(other) < ACCEPTED_CONFIDENCE for other in evidence[1:])


def test_a_mirrored_copy_is_proved_by_the_mirrored_features():
    """A mirrored crop is found with the mirrored features, and called mirrored; the plain ones prove nothing."""
    mirrored = ImageOps.mirror(KNOWN.crop((0, 0, 500, 640)))

    evidence = examined(mirrored, is_mirrored=True)

    assert evidence[0].photo_id == 1
    assert confidence(evidence[0]) > ACCEPTED_CONFIDENCE
    assert words(evidence[0].placement)[0] == "mirrored"
    assert all(confidence(other) < ACCEPTED_CONFIDENCE for other in examined(mirrored))


@pytest.mark.parametrize("seed", range(20, 26))
def test_a_stranger_is_never_proved(seed):
    """A picture that is no candidate's gives no evidence that is believed, plain or mirrored."""
    for is_mirrored in (False, True):
        assert all(
            confidence(evidence) < ACCEPTED_CONFIDENCE
            for evidence in examined(photo(seed, SIZE), is_mirrored=is_mirrored)
        )


def test_all_members_of_a_collage_are_proved():
    """Side by side, each of three photos is proved, and told to be a part."""
    collage = Image.new("RGB", (1200, 500), "white")
    for column, seed in enumerate((1, 4, 6)):
        collage.paste(photo(seed, SIZE).resize((400, 500)), (400 * column, 0))

    sure = {one.photo_id: one for one in examined(collage) if confidence(one) > ACCEPTED_CONFIDENCE}

    assert set(sure) == {1, 4, 6}
    assert all("part of a larger picture" in words(one.placement) for one in sure.values())


def test_members_that_are_cut_to_their_cell_are_proved():
    """A photo cut to a narrow cell is compared where it is seen, not where its neighbour covers it."""
    collage = Image.new("RGB", (800, 800), "white")
    collage.paste(ImageOps.fit(photo(1, SIZE), (398, 800)), (0, 0))
    collage.paste(ImageOps.fit(photo(30, SIZE), (398, 800)), (402, 0))

    best = examined(collage)[0]

    assert best.photo_id == 1
    assert confidence(best) > ACCEPTED_CONFIDENCE
    assert best.blocks.agreeing > 0.9
    assert best.placement.visible == pytest.approx(0.62, abs=0.08)


def test_no_more_candidates_are_laid_over_than_allowed():
    """The dense check is for the few that align best."""
    assert len(examined(KNOWN)) <= DENSE_CHECKS


def test_the_same_scene_with_another_thing_in_it_is_not_proved():
    """The same ground with another garment on it aligns well, and is still not the same photo."""
    ground = photo(1, SIZE)
    other = ground.copy()
    other.paste(photo(55, (380, 480)), (130, 160))

    evidence = examined(other)

    assert evidence[0].photo_id == 1
    assert evidence[0].geometry.inliers >= 4
    assert confidence(evidence[0]) < confidence(examined(ground)[0])


@pytest.mark.parametrize("picture", [Image.new("RGB", (300, 300)), Image.new("RGB", (1, 1)), photo(1, (12, 9))])
def test_pictures_without_detail_prove_nothing(picture):
    """Blank and tiny pictures are examined without a fault, and believed to be nobody's."""
    assert all(confidence(evidence) < ACCEPTED_CONFIDENCE for evidence in examined(picture))


def test_the_calibration_weighs_every_signal():
    """Both models have a weight for each signal and each product of two; confidence is a probability."""
    evidence = examined(KNOWN)[0]

    for model in models().values():
        assert set(model.names) == set(signals(evidence))
        count = len(model.names)
        shapes = [array.shape for array in (model.means, model.spreads, model.weights, model.products)]
        assert shapes == [(count,), (count,), (count,), (count, count)]
    assert set(models()) == {"photo", "drawn"}
    assert 0 <= confidence(evidence) <= 1
    assert not is_drawn(evidence)
    assert all(np.isfinite(list(signals(evidence).values())))
