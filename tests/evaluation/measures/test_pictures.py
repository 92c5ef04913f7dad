"""Colour and structure scores against pictures whose answer is plain."""

import numpy as np
import pytest

from mdm.data import media, samples
from mdm.evaluation import retrieval
from mdm.evaluation.measures import pictures

RNG = np.random.default_rng(0)
FILES = sorted((samples.directory() / "images").glob("*.png"))[:64]


@pytest.fixture(scope="module")
def many():
    return [{"image": media.read_image(path)} for path in FILES]


@pytest.fixture(scope="module")
def own(many):
    return many[:24]


def flat(*colour):
    return np.full((32, 32, 3), colour, np.uint8)


def test_pictures_against_themselves_and_against_others(own):
    for made, expected in ((own, 1.0), (own[1:] + own[:1], 0.0)):
        nearest, ten, colours, edges = pictures.OWN_PICTURE.score(made, own)
        assert nearest.value == expected and nearest.chance == 1 / 24 and ten.chance == 10 / 24
        assert (colours.value == pytest.approx(1)) == (edges.value == pytest.approx(1)) == (expected == 1)
    assert colours.value < colours.chance + 0.1 and edges.value < edges.chance + 0.1
    assert colours.chance < 0.9 and edges.chance < 0.7


def test_colours_in_common_are_counted_in_pixels():
    half = flat(255, 0, 0)
    half[:16] = (0, 0, 255)
    colours = lambda a, b: pictures.OWN_PICTURE.score([{"image": a}], [{"image": b}])[2].value  # noqa: E731
    assert colours(flat(255, 0, 0), flat(0, 0, 255)) == colours(flat(0, 255, 0), flat(0, 0, 255)) == 0
    assert colours(flat(255, 0, 0), half) == pytest.approx(0.5)


def test_turned_edges_have_nothing_in_common():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[np.arange(32) % 4 < 2] = 255
    a, b = retrieval.edges(stripes), retrieval.edges(stripes.transpose(1, 0, 2))
    assert a @ a == pytest.approx(1) and a @ b == pytest.approx(0, abs=1e-6)


def test_greys_have_no_colour_and_blur_takes_edges():
    grey, noise = np.full((32, 32, 3), 90.0), RNG.uniform(0, 255, (32, 32, 3))
    assert pictures.colourfulness(grey) == pictures.sharpness(grey) == 0
    assert pictures.colourfulness(noise) > 50
    blurred = noise.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).repeat(4, axis=0).repeat(4, axis=1)
    assert pictures.sharpness(blurred) < pictures.sharpness(noise) / 2
    ramp = np.broadcast_to(np.arange(32.0)[:, None, None] * 2, (32, 32, 3))
    assert pictures.sharpness(ramp) == pytest.approx(2)


def test_a_size_is_no_difference(own):
    larger = [{"image": np.kron(media["image"], np.ones((2, 2, 1), np.uint8))} for media in own]
    for a, b in zip(pictures.LOOKS.score(own, own), pictures.LOOKS.score(larger, own), strict=True):
        assert a.value == pytest.approx(b.value)


def test_distances_tell_pictures_from_noise(many):
    """Also: features have the scale that the kernel is made for."""
    assert 0.3 < np.square(pictures.features([media["image"] for media in many])).mean() < 4
    noise = [{"image": RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)} for _ in many]
    near, floor = pictures.PICTURE_DISTANCES.score(many, many)
    far, farther = pictures.PICTURE_DISTANCES.score(noise, many)
    assert near.value == 0 and far.value > 5 * far.error
    assert farther.value > floor.value + 3 * farther.error
    names = [figure.name for figure in pictures.PICTURE_DISTANCES.figures]
    assert all(pictures.COLOURS_AND_EDGES.name in name for name in names)
