"""The chain rule over a data set: the batch changes nothing, and a zero head pays the logarithm of each range."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mdm.evaluation.chain_rule import BESIDE, chain_rule, mixture_nats
from mdm.evaluation.likelihood import likelihood
from mdm.evaluation.material import Material
from mdm.evaluation.ordered import OrderSettings
from mdm.problems import Refusal
from tests.evaluation import conftest
from tests.evaluation.conftest import SETTINGS, STREAMS

ROW = 96


class _Bound(conftest._Bound):
    """Logits that follow the position's place and what stands beside it, scaled by the parameters."""

    def logits(self, hidden, number):
        size = self._network.vocabulary.ranges[number].size
        return self._factor * jnp.sin(hidden * jnp.arange(1, size + 1))


class Network(conftest.Network):
    def bind(self, parameters):
        return _Bound(self, parameters)


def material(manifest, batch_rows=5, streams=STREAMS, **orders):
    settings = dataclasses.replace(SETTINGS, batch_rows=batch_rows)
    orders = OrderSettings(**({"draws": 2, "documents": 6} | orders))
    return Material(Network(manifest.vocabulary), manifest, settings, ROW, streams, orders=orders)


@pytest.fixture(scope="module")
def own(manifest):
    return material(manifest)


def test_a_zero_head_pays_exactly_log2_of_each_range_in_every_order(own):
    for task, modality, size in (("text-to-image", "image", 300), ("joint-image-text", "text", 201)):
        result = next(r for r in chain_rule(own, "image-text", task, "train", np.float32(0)) if r.modality == modality)
        assert result.bits == pytest.approx(np.log2(size), rel=1e-6)
        assert (result.documents, result.order, len(result.seeds)) == (6, "random", 2)
        if task == "text-to-image":
            assert result.mixture_bits == pytest.approx(result.bits, rel=1e-6)
        else:
            assert result.mixture_bits is None


def test_the_elbo_of_the_same_documents_stands_beside_the_orders(own):
    ordered, elbo = chain_rule(own, "image-text", "text-to-image", "train", np.float32(2))
    assert (ordered.what, elbo.what) == ("chain-rule", BESIDE) and elbo.order is None and elbo.mixture_bits is None
    assert (elbo.documents, elbo.targets, elbo.unigram_bits) == (6, ordered.targets, ordered.unigram_bits)
    assert elbo.by_document.documents == ordered.by_document.documents
    assert (elbo.samples, elbo.seeds) == (SETTINGS.samples, SETTINGS.seeds) != (1, ordered.seeds)
    (whole,) = likelihood(own, "image-text", "text-to-image", "train", np.float32(2))
    of_whole = dict(zip(whole.by_document.documents, whole.by_document.nats.T, strict=True))
    for document, nats in zip(elbo.by_document.documents, elbo.by_document.nats.T, strict=True):
        np.testing.assert_allclose(nats, of_whole[document], rtol=1e-6)  # the noise of the whole evaluation


def test_the_batch_changes_no_figure(own, manifest):
    one = chain_rule(own, "audio-text", "speech-to-text", "train", np.float32(2))
    other = chain_rule(material(manifest, 4), "audio-text", "speech-to-text", "train", np.float32(2))
    assert one[0].targets == other[0].targets and one[0].bits == pytest.approx(other[0].bits, rel=1e-6)
    assert one[0].mixture_bits < one[0].bits and one[0].se_noise > 0


def test_a_mixture_lies_between_the_best_order_and_the_mean():
    nats = np.array([[10.0, 3.0], [12.0, 3.0]])
    found = mixture_nats(nats)
    assert nats.min(axis=0)[0] < found[0] < nats.mean(axis=0)[0] and found[1] == pytest.approx(3)


@pytest.mark.parametrize(
    "settings", [{"order": "sideways"}, {"draws": -1}, {"order": "forward", "draws": 2}, {"documents": 0}]
)
def test_impossible_settings_are_named(manifest, settings):
    with pytest.raises(Refusal, match="orders"):
        material(manifest, **settings)
