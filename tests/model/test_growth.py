"""A larger vocabulary changes nothing of what a network knew."""

import jax
import numpy as np
import pytest

from mdm.model import growth
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.problems import Refusal
from mdm.tokens.rows import Segment, build_row, stack
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary

BEFORE = Vocabulary.of({"text": (20,), "image": (30,)})
AFTER = Vocabulary.of({"text": (25,), "image": (30,), "audio": (5, 6)})
SETTINGS = ModelSettings(width=16, depth=1, head_size=8, head_chunk=8, unembedding_std=1.0)


def rows(vocabulary):
    document = {"text": np.array([3, 19, 0], np.int32), "image": np.arange(4, dtype=np.int32).reshape(2, 2)}
    return stack([build_row([Segment(document, TASKS["text-to-image"], {"text": 2})], vocabulary, 24)])


def seen(vocabulary, parameters):
    bound, own = Network(SETTINGS, vocabulary).bind(parameters), rows(vocabulary)
    hidden = bound.hidden(own.ids, own.segments, own.positions, own.ranges)
    return hidden, [bound.logits(hidden, number) for number in range(2)]


def test_old_symbols_are_seen_and_predicted_as_before():
    old, new = (Network(SETTINGS, v).initial_parameters(seed) for v, seed in ((BEFORE, 1), (AFTER, 2)))
    grown = growth.carried(new, old, AFTER, BEFORE)
    (hidden, (text, image)), (now, (wide, same)) = seen(BEFORE, old), seen(AFTER, grown)
    for found, expected in (
        (now, hidden),
        (same, image),
        (wide[..., :20], text[..., :20]),
        (wide[..., -1], text[..., -1]),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)  # products of other shapes round otherwise
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), grown, new)
    # What is new stands as a new network has it.
    np.testing.assert_array_equal(grown["embedding"][20:25], new["embedding"][20:25])
    audio = slice(AFTER.ranges[2].start, AFTER.ranges[3].stop)
    np.testing.assert_array_equal(grown["unembedding"][audio], new["unembedding"][audio])


def test_every_symbol_has_one_place():
    own, theirs = growth.shared(AFTER, BEFORE)
    assert sorted(theirs.tolist()) == list(range(BEFORE.size)) and len(set(own.tolist())) == BEFORE.size
    assert AFTER.mask in own and own.max() < AFTER.size


@pytest.mark.parametrize("codebooks", [{"text": (19,), "image": (30,)}, {"text": (20,)}])
def test_a_codebook_that_has_shrunk_or_gone_is_refused(codebooks):
    after = Vocabulary.of(codebooks)
    old, new = (Network(SETTINGS, v).initial_parameters(0) for v in (BEFORE, after))
    with pytest.raises(Refusal, match="codebook (text = 19|image): the run it begins from has"):
        growth.carried(new, old, after, BEFORE)
