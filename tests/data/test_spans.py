"""How long a canvas is whose length nobody gave: as long as rows of training are."""

import types

import numpy as np
import pytest
from scipy import stats

from mdm.data import spans
from mdm.data.spans import SpanLength, span_lengths

N = 4000
SHARES = (np.arange(1000) + 0.5) / 1000


@pytest.fixture(scope="module")
def lengths():
    """int [N, 3], text, image, audio: captions of two kinds, and sounds that take five codes a letter, give or take."""
    rng = np.random.default_rng(0)
    text = np.where(rng.random(N) < 0.7, rng.integers(2, 9, N), rng.integers(30, 60, N))
    return np.stack([text, np.full(N, 16), 20 + 5 * text + rng.integers(-15, 16, N)], axis=1)


@pytest.fixture
def found(lengths, monkeypatch):
    monkeypatch.setattr(spans.shards, "lengths", lambda *_: lengths)
    stream = types.SimpleNamespace(shards={"train": ("one",)})
    manifest = types.SimpleNamespace(directory=None, streams={"a": stream})
    return span_lengths(manifest, {"a": ("image-to-text", "text-to-image", "text-to-speech", "joint-audio-text")})


def distance(drawn, wanted) -> float:
    return stats.ks_2samp(drawn, wanted).statistic


def test_lengths_without_a_condition_are_those_of_the_documents(found, lengths):
    own = found["image-to-text"]["text"]  # all pictures have one length
    drawn = [own.drawn(16, share) for share in SHARES]
    assert distance(drawn, lengths[:, 0]) < 0.03 and own.expected(16) == round(lengths[:, 0].mean())
    assert distance([own.expected(16)] * 1000, lengths[:, 0]) > 0.5  # what one length for all would be
    assert found["text-to-image"] == {}


def test_lengths_beside_a_condition_go_with_it(found, lengths):
    own = found["text-to-speech"]["audio"]
    assert (own.expected(4), own.expected(40)) == pytest.approx((40, 220), abs=2)
    drawn = np.array([own.drawn(40, share) for share in SHARES])
    assert drawn.std() == pytest.approx(stats.randint(-15, 16).std(), rel=0.05)
    assert distance(drawn - 220, stats.randint(-15, 16).ppf(SHARES)) < 0.05


def test_of_two_targets_the_second_goes_with_the_first(found, lengths):
    own = found["joint-audio-text"]
    text = np.array([own["text"].drawn(0, share) for share in SHARES])
    other = np.random.default_rng(1).permutation(SHARES)
    audio = np.array([own["audio"].drawn(n, share) for n, share in zip(text, other, strict=True)])
    assert distance(text, lengths[:, 0]) < 0.03 and distance(audio, lengths[:, 2]) < 0.05
    assert np.corrcoef(text, audio)[0, 1] > 0.95


def test_no_length_is_below_one_or_above_the_longest_seen():
    own = SpanLength(3.0, 1.0, 9, (-50.0, 0.0, 50.0))
    assert [own.drawn(2, share) for share in (0.0, 0.5, 0.99)] == [1, 5, 9]
    assert own.expected(100) == 9 and SpanLength(3.0, 0.0, 9).drawn(0, 0.7) == 3
