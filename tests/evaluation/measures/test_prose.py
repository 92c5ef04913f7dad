"""Variety and repetition of texts whose figures can be counted by hand."""

import math

import numpy as np
import pytest

from mdm.evaluation.measures import prose

VARIED = " ".join(f"w{n}" for n in range(50))
NAMES = "entropy", "again", "triples", "pairs", "divergence", "pair divergence"
CONSTANT = " ".join(["buzz"] * 50)


def score(made, originals):
    scores = prose.PROSE.score([{"text": text} for text in made], [{"text": text} for text in originals])
    return dict(zip(NAMES, scores, strict=True))


def test_fifty_different_words():
    found = score([VARIED] * 8, [VARIED] * 8)
    assert found["entropy"].value == pytest.approx(math.log2(50))
    assert found["again"].value == found["triples"].value == 0
    assert found["pairs"].value == pytest.approx(1 / 8)  # every text is the same
    assert [found[name].value for name in ("divergence", "pair divergence")] == pytest.approx([0, 0], abs=1e-9)


def test_one_word_fifty_times():
    found = score([CONSTANT] * 8, [VARIED] * 8)
    assert found["entropy"].value == 0
    assert found["again"].value == 1 and found["triples"].value == pytest.approx(47 / 48)
    assert found["pairs"].value == pytest.approx(1 / (8 * 49))
    assert [found[name].value for name in ("divergence", "pair divergence")] == pytest.approx([1, 1])


def test_texts_of_other_lengths_are_looked_at_through_passages_of_one_length():
    long = [VARIED + " and much more"] * 8
    short = [" ".join(VARIED.split()[i : i + 10]) for i in range(0, 50, 10)]
    assert prose.passages(long, 50)[0] == prose.passages(short, 50)[0] == VARIED.split()
    assert len(prose.passages([*short, "left over"], 50)) == len(prose.passages([VARIED * 3], 50)) == 1
    found = score(long, short)  # originals give one passage, so of what was made one is looked at
    assert found["entropy"].value == pytest.approx(math.log2(50)) and found["entropy"].error is None
    assert found["pairs"].value == 1


def test_frequent_words_alone_do_not_come_below_the_floor():
    """As made by a model that dares no rare word: over all words, most of which come once, it would seem nearer than truth."""
    rng = np.random.default_rng(0)
    ranks = np.arange(1, 3000)
    texts = [[" ".join(f"w{w}" for w in rng.choice(ranks[:most], 50, p=p[:most] / p[:most].sum())) for _ in range(60)]
             for p in [1 / ranks] for most in (3000, 3000, 60)]  # fmt: skip
    own, other, timid = texts
    floor, same, frequent = (score(made, own)["divergence"] for made in (own, other, timid))
    assert same.value < floor.value + 3 * same.error
    assert frequent.value > floor.value + 3 * frequent.error


@pytest.mark.parametrize("words", [(12, 50), (50, 12), (50, 50)])
def test_texts_of_the_law_of_the_originals_stand_beside_them_whatever_their_lengths(words):
    rng, names = np.random.default_rng(0), [f"w{n}" for n in range(60)]
    draw = lambda size: [{"text": " ".join(rng.choice(names, size))} for _ in range(100)]  # noqa: E731
    made, originals = map(draw, words)
    model, beside = (prose.PROSE.beside(group, originals, made) for group in (made, originals))
    assert model == prose.PROSE.score(made, originals)
    for name in ("pairs", "divergence"):  # the more there is, the fewer are different, and the nearer are laws
        own, other = (found[NAMES.index(name)] for found in (model, beside))
        assert abs(own.value - other.value) < 3 * math.hypot(own.error, other.error)


def test_where_no_word_is_frequent_there_is_no_divergence():
    own = [" ".join(f"{n} {w}" for w in range(25)) for n in range(8)]
    assert score(own, [text.replace(" ", " x") for text in own])["pair divergence"].value is None


def test_too_few_words_give_no_figure():
    assert all(found == (None, None, None) for found in score(["", "few"], [VARIED] * 2).values())


def test_case_and_punctuation():
    assert prose.words("Well, it's FINE!") == ["well", ",", "it", "'", "s", "fine", "!"]


def test_lengths_are_counted_to_where_a_row_may_end():
    (found,) = prose.LENGTH.score([{"text": "a b"}, {"text": "c " * 500}], [{"text": ""}] * 2)
    assert found.value == (2 + 100) / 2
