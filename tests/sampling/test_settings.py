"""What the settings of a sampler may be, and what is told of those that cannot be used."""

import dataclasses
import re

import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.grids import TRAINED
from mdm.sampling.orders import ORDERS
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings, meanings
from tests.sampling.conftest import write


@pytest.fixture
def canvas(vocabulary):
    return build_canvas([Request("text-to-image", {"text": np.array([1])}, {"image": (2, 2)})], vocabulary, 16)


@pytest.mark.parametrize(
    "change",
    [{"order": "left"}, {"grid": "quadratic"}, {"steps": 0}, {"temperature": -1.0}, {"temperature": 1e-9}, {"top_p": 0.0},
     {"min_p": 2.0}, {"top_k": -1}, {"guidance": float("nan")}, {"noise": -1.0},
     {"guidance": 1e39}, {"guidance": 101.0}, {"noise": 1e39}, {"entropy_bound": 1e39}, {"top_k": 2**40},
     {"steps": 10**9}, {"block": 2**40}, {"refresh": 2**40}, {"block": 2.0},
     {"threshold": 0.0}, {"threshold": 1.1}, {"entropy_bound": -0.1}, {"block": -1},
     {"remask": "loop"}, {"remask": "cap-0.5-0.1"}, {"grid": "loop"}, {"grid": "loop-0.1-0.5-0.9", "remask": "cap"},
     {"eta": 0.0}, {"corrector": 1.0}, {"refresh": -1}, {"cache": "both"}, {"cache": "dual"},
     {"guidance_schedule": "cosine"}, {"guidance_schedule": "interval-0.9-0.1"},
     {"order": "threshold", "remask": "cap"}, {"order": "first-hitting", "corrector": 0.1}],
)  # fmt: skip
def test_impossible_settings_are_named(change, canvas, vocabulary, cheap):
    (problem,) = SamplerSettings(**change).problems("sampler")
    assert problem.where == f"sampler.{next(iter(change))}"
    with pytest.raises(Refusal):
        sample(cheap(), canvas, vocabulary, SamplerSettings(**change), np.array([0], np.uint32))


def test_the_largest_settings_can_be_used(canvas, vocabulary, cheap):
    rule = SamplerSettings(
        order="confidence", steps=2, guidance=100.0, noise=1000.0, block=10**6, cache="dual", refresh=10**6
    )
    done = write(cheap(), canvas, vocabulary, rule, np.array([0], np.uint32))
    assert not np.asarray(done.canvas.masked).any() and vocabulary.mask not in np.asarray(done.canvas.rows.ids)


def test_the_trained_grid_must_have_been_named(canvas, vocabulary, cheap):
    rule = SamplerSettings(grid=TRAINED)
    assert not rule.problems("sampler") and rule.on_schedule("cosine").grid == "cosine"
    with pytest.raises(Refusal, match="TrainedModel"):
        sample(cheap(), canvas, vocabulary, rule, np.array([0], np.uint32))


def test_every_field_is_told_what_it_is():
    """As the help of its flag: each by words of its own, and orders by name."""
    told = meanings()
    assert [field.name for field in dataclasses.fields(SamplerSettings) if field.name not in told] == []
    assert len(set(told.values())) == len(told) and min(map(len, told.values())) > 10
    assert all(re.search(rf"\b{order}\b", told["order"]) for order in ORDERS)
    assert told["top_k"] == "keep the k likeliest symbols; 0 keeps all" and "loop" in told["grid"]
