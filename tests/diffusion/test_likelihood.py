import jax
import numpy as np
import pytest

from mdm.diffusion.likelihood import elbo_sample
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.tokens.rows import Segment, build_row, row_number, stack
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import MODALITIES

LENGTH = 32
SAMPLES = 5


@pytest.fixture(scope="module")
def bits(vocabulary):
    """Rows -> [samples, B, M] bits under a network whose output columns are zero."""
    network = Network(
        ModelSettings(width=16, depth=1, head_size=8, hidden=16, unembedding_std=0.0, head_chunk=8), vocabulary
    )
    parameters = network.initial_parameters(0)

    @jax.jit
    def draw(rows, number, sample):
        return elbo_sample(network.bind(parameters), rows, number, 0, sample, SAMPLES, vocabulary) / np.log(2)

    return lambda rows: np.stack([draw(rows, row_number(np.arange(len(rows.ids))), s) for s in range(SAMPLES)])


@pytest.fixture(scope="module")
def document():
    rng = np.random.default_rng(0)
    return {
        "text": rng.integers(0, 20, 6), "image": rng.integers(0, 30, (3, 4)),
        "audio": np.stack([rng.integers(0, 5, 4), rng.integers(0, 6, 4)], axis=1),
    }  # fmt: skip


def test_zero_head_pays_log2_of_the_range_for_every_token(bits, document, vocabulary):
    tails = {"text": 3, "audio": 0}
    tasks = ("text", "image-to-text", "text-to-image", "speech-to-text")
    rows = stack([build_row([Segment(document, TASKS[t], tails)], vocabulary, LENGTH) for t in tasks])
    found = bits(rows)
    text, image = 9 * np.log2(21), 12 * np.log2(30)
    expected = np.array([[text, 0, 0], [text, 0, 0], [0, image, 0], [text, 0, 0]])
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-6)  # each sample, not the mean


def test_zero_head_over_several_ranges_pays_on_average(bits, document, vocabulary):
    # With targets of several ranges a sample may hide more of one than of the other: exact in expectation.
    tasks = ("text-to-speech", "joint-image-text")
    rows = stack(
        [build_row([Segment(document, TASKS[t], {"text": 2, "audio": 2})], vocabulary, LENGTH) for t in tasks * 200]
    )
    found = bits(rows).mean(axis=0).reshape(200, 2, len(MODALITIES))
    expected = np.array([[0, 0, 5 * np.log2(6) + 5 * np.log2(7)], [8 * np.log2(21), 12 * np.log2(30), 0]])
    error = found.std(axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(found.mean(axis=0) - expected) <= 4 * error + 1e-9).all()


def test_same_document_same_noise_whatever_stands_beside_it(bits, document, vocabulary):
    row = build_row([Segment(document, TASKS["joint-image-text"], {"text": 2})], vocabulary, LENGTH)
    other = build_row([Segment(document, TASKS["text-to-speech"], {"text": 2, "audio": 2})], vocabulary, LENGTH)
    np.testing.assert_array_equal(bits(stack([row] * 4))[:, 2], bits(stack([other, other, row, other]))[:, 2])
