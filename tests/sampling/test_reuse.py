"""Network calls that are left out: draws that are kept, and keys and values that are."""

import jax
import numpy as np
import pytest

from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.settings import SamplerSettings
from tests.sampling.conftest import write

SEEDS = np.array([3, 4], np.uint32)


@pytest.fixture(scope="module")
def canvas(vocabulary):
    requests = [Request("text-to-image", {"text": np.arange(n)}, {"image": (3, 4)}) for n in (2, 4)]
    return build_canvas(requests, vocabulary, 28)


def test_a_step_that_uncovered_nothing_costs_no_call(canvas, vocabulary, cheap):
    """Counted by the denoiser itself; the result is that of calling it at every step."""
    calls = []

    class Counting(type(cheap())):
        def hidden(self, ids, *others):
            jax.debug.callback(lambda: calls.append(1))
            return super().hidden(ids, *others)

    rules = [SamplerSettings(steps=300, reuse=reuse) for reuse in (True, False)]
    done, counted = [], []
    for rule in rules:
        calls.clear()
        done.append(write(Counting(vocabulary), canvas, vocabulary, rule, SEEDS))
        jax.effects_barrier()
        counted.append(len(calls))
    np.testing.assert_array_equal(done[0].canvas.rows.ids, done[1].canvas.rows.ids)
    assert counted == [int(w.calls.whole) for w in done]
    assert counted[0] <= 24 and counted[1] > 100


@pytest.fixture(scope="module")
def shallow(vocabulary):
    """With one layer keys and values depend on a position's own token: what is kept is never out of date."""
    network = Network(ModelSettings(width=16, depth=1, head_size=8, unembedding_std=3.0), vocabulary)
    return network.bind(network.initial_parameters(1))


@pytest.mark.parametrize(
    ("cache", "guidance", "refresh"),
    [
        ("dual", 2.0, 0),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("dual", 1.0, 2), ("prefix", 2.0, 0))),
    ],
)
def test_where_nothing_gets_out_of_date_a_cache_changes_nothing(cache, guidance, refresh, canvas, vocabulary, shallow):
    rule = {"order": "confidence", "steps": 3, "block": 5, "guidance": guidance}
    plain, kept = (
        write(shallow, canvas, vocabulary, SamplerSettings(**rule, **change), SEEDS)
        for change in ({}, {"cache": cache, "refresh": refresh})
    )
    np.testing.assert_array_equal(plain.canvas.rows.ids, kept.canvas.rows.ids)
    assert (int(plain.calls.whole), int(plain.calls.part)) == (8, 0)  # blocks of 5, 5 and 2 positions
    assert (int(kept.calls.whole), int(kept.calls.part)) == ((5, 3) if refresh else (3, 5))


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_a_cache_that_would_be_made_anew_at_every_step_is_not_kept(cache, canvas, vocabulary, shallow):
    """Seen by the calls, all over whole rows. What a cache changes where it gets out of date: test_kept.py."""
    rule = {"order": "random", "steps": 3, "block": 5}
    plain, kept = (
        write(shallow, canvas, vocabulary, SamplerSettings(**rule, **change), SEEDS)
        for change in ({}, {"cache": cache, "refresh": 1})
    )
    np.testing.assert_array_equal(plain.canvas.rows.ids, kept.canvas.rows.ids)
    assert plain.calls == kept.calls and int(kept.calls.part) == 0
