"""The sampler as a whole: what may never happen, and that it draws from the distribution that the denoiser knows."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.problems import Refusal
from mdm.sampling.canvas import Request, build_canvas, layout_of, read_canvas
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.grids import GRIDS
from mdm.sampling.orders import ORDERS
from mdm.sampling.sampler import SamplerSettings, sample
from mdm.tokens.rows import TARGET
from mdm.tokens.tasks import TASKS
from tests.sampling.conftest import BayesOptimal, Cheap, Vocabulary

VOCABULARY = Vocabulary.of({"text": (7,), "image": (9,), "audio": (5, 6)})
LENGTH = 40
GIVEN = {"text": np.array([1, 2, 3], np.int32), "image": np.arange(4, dtype=np.int32).reshape(2, 2),
         "audio": np.array([[0, 1], [2, 3]], np.int32)}  # fmt: skip
SHAPES = {"text": (6,), "image": (2, 2), "audio": (4, 2)}

RULES = st.builds(
    SamplerSettings,
    order=st.sampled_from(list(ORDERS)), grid=st.sampled_from(list(GRIDS)), steps=st.sampled_from([1, 3, 8, 40]),
    temperature=st.sampled_from([0.0, 0.7, 1.0]), top_p=st.sampled_from([0.5, 1.0]), top_k=st.sampled_from([0, 2]),
    guidance=st.sampled_from([1.0, 3.0]), noise=st.sampled_from([0.0, 4.5]),
)  # fmt: skip


def request(task: str, keep: bool = False) -> Request:
    own = TASKS[task]
    given_ = {m: GIVEN[m] for m in own.conditions}
    known = {}
    if keep:  # infilling: half of the first target is known
        modality = own.targets[0]
        given_[modality] = GIVEN[modality]
        known = {modality: np.arange(GIVEN[modality].size).reshape(GIVEN[modality].shape) % 2 == 0}
    return Request(task, given_, {m: SHAPES[m] for m in own.targets if m not in given_}, known)


@settings(max_examples=16, deadline=None)
@given(st.sampled_from(list(TASKS)), st.booleans(), RULES, st.integers(0, 2**31), st.floats(-9, 9))
def test_no_mask_survives_ids_stay_in_their_range_and_what_is_given_never_changes(task, keep, rule, seed, end_bias):
    canvas = build_canvas([request(task, keep)] * 2, VOCABULARY, LENGTH)
    done = sample(Cheap(VOCABULARY, end_bias=end_bias), canvas, VOCABULARY, rule, np.array([seed, seed + 1], np.uint32))
    ids, before = np.asarray(done.rows.ids), canvas.rows.ids
    assert not np.asarray(done.masked).any() and VOCABULARY.mask not in ids
    np.testing.assert_array_equal(ids[~canvas.masked], before[~canvas.masked])
    for row, place in zip(*np.nonzero(canvas.rows.roles == TARGET), strict=True):
        own = VOCABULARY.ranges[canvas.rows.ranges[row, place]]
        assert own.start <= ids[row, place] < own.stop
    for document in read_canvas(done, [request(task, keep)] * 2, VOCABULARY):
        for modality, codes in document.items():
            sizes = {"text": [7], "image": [9], "audio": [5, 6]}[modality]
            assert codes.size == 0 or (codes.reshape(-1, len(sizes)) < sizes).all()


@pytest.mark.parametrize("order", list(ORDERS))
def test_a_row_depends_on_its_seed_and_not_on_its_neighbours(order):
    rule = SamplerSettings(order=order, steps=8, noise=1.0)
    one = build_canvas([request("text-to-image")], VOCABULARY, LENGTH)
    many = build_canvas([request("text-to-image")] * 3, VOCABULARY, LENGTH)
    alone = sample(Cheap(VOCABULARY), one, VOCABULARY, rule, np.array([5], np.uint32))
    together = sample(Cheap(VOCABULARY), many, VOCABULARY, rule, np.array([9, 5, 5], np.uint32))
    np.testing.assert_array_equal(alone.rows.ids[0], together.rows.ids[1])
    np.testing.assert_array_equal(together.rows.ids[1], together.rows.ids[2])


def test_one_program_serves_every_canvas_of_the_same_shapes():
    rule = SamplerSettings(steps=4)
    canvases = [build_canvas([request("text-to-image")], VOCABULARY, LENGTH) for _ in range(2)]
    canvases[1].rows.ids[0, 2] = 3
    layout = layout_of(canvases[0], VOCABULARY)
    run = jax.jit(lambda canvas, seeds: sample(Cheap(VOCABULARY), canvas, VOCABULARY, rule, seeds, layout))
    for canvas in canvases:
        inside, outside = run(canvas, np.array([1], np.uint32)), sample(
            Cheap(VOCABULARY), canvas, VOCABULARY, rule, np.array([1], np.uint32))  # fmt: skip
        np.testing.assert_array_equal(inside.rows.ids, outside.rows.ids)
    assert run._cache_size() == 1


@pytest.mark.parametrize("order", ["ancestral", "random"])
def test_one_position_at_a_time_draws_from_the_joint_distribution(order, repeat):
    """With the exact conditionals and a step for each position, any order that does not look at them is exact."""
    vocabulary = Vocabulary.of({"text": (7,), "image": (3,)})
    joint = np.random.default_rng(0).dirichlet(np.full(27, 0.3)).reshape(3, 3, 3)
    task = Request("text-to-image", {"text": np.array([1], np.int32)}, {"image": (1, 3)})
    times = 20_000
    canvas, places = repeat(task, vocabulary, 12, times)
    number = next(i for i, r in enumerate(vocabulary.ranges) if r.modality == "image")
    denoiser = BayesOptimal(joint, vocabulary, number, places)
    rule = SamplerSettings(order=order, steps=64)
    done = sample(denoiser, canvas, vocabulary, rule, np.arange(times, dtype=np.uint32))
    drawn = np.asarray(done.rows.ids)[:, places] - vocabulary.ranges[number].start
    counts = np.zeros((3, 3, 3))
    np.add.at(counts, tuple(drawn.T), 1)
    # Ancestral steps uncover two positions at once now and then (3 pairs in 64 steps): its error is a little above the noise.
    distance = np.abs(counts / times - joint).sum() / 2
    noise = sum(np.sqrt(p * (1 - p) / times) for p in joint.ravel()) / 2
    assert distance < 3 * noise + (0.02 if order == "ancestral" else 0)


def test_temperature_zero_is_deterministic():
    rule = SamplerSettings(order="confidence", steps=8, temperature=0.0)
    canvas = build_canvas([request("text-to-image")] * 2, VOCABULARY, LENGTH)
    done = sample(Cheap(VOCABULARY), canvas, VOCABULARY, rule, np.array([1, 2], np.uint32))
    np.testing.assert_array_equal(done.rows.ids[0], done.rows.ids[1])


class Echo:
    """Image logits are 1 for the code that the text says (the first text code), 0 for the others; 0 without the text."""

    def hidden(self, ids, segments, positions, ranges):
        said = jax.nn.one_hot(ids[:, 2:3] - VOCABULARY.ranges[0].start, 9)
        return jnp.broadcast_to(said, (*ids.shape, 9))

    def logits(self, hidden, number):
        return hidden


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guidance_multiplies_what_the_condition_adds(scale):
    canvas = build_canvas([request("text-to-image")] * 4000, VOCABULARY, 20)
    assert (canvas.rows.ids[:, 2] == VOCABULARY.ranges[0].start + 1).all()
    rule = SamplerSettings(guidance=scale, steps=4)
    done = sample(Echo(), canvas, VOCABULARY, rule, np.arange(4000, dtype=np.uint32))
    image = np.asarray(done.rows.ids)[canvas.masked] - VOCABULARY.ranges[1].start
    wanted = np.exp(scale) / (np.exp(scale) + 8)
    assert abs((image == 1).mean() - wanted) < 0.015


@pytest.mark.parametrize(
    "change",
    [{"order": "left"}, {"grid": "linear"}, {"steps": 0}, {"temperature": -1.0}, {"temperature": 1e-9}, {"top_p": 0.0},
     {"min_p": 2.0}, {"top_k": -1}, {"guidance": float("nan")}, {"noise": -1.0}],
)  # fmt: skip
def test_impossible_settings_are_named(change):
    (problem,) = SamplerSettings(**change).problems("sampler")
    assert problem.where == f"sampler.{next(iter(change))}"
    with pytest.raises(Refusal):
        sample(Cheap(VOCABULARY), build_canvas([request("text")], VOCABULARY, LENGTH), VOCABULARY, SamplerSettings(**change),
               np.array([0], np.uint32))  # fmt: skip


def test_every_task_has_a_default():
    assert set(DEFAULTS) == set(TASKS)
    assert not list(itertools.chain.from_iterable(rule.problems(task) for task, rule in DEFAULTS.items()))
