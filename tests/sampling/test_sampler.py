"""The sampler as a whole: what may never happen. That it draws what the denoiser knows: test_joint.py."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mdm.sampling import draws
from mdm.sampling.canvas import Request, build_canvas, layout_of, read_canvas
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.ends import find_ends
from mdm.sampling.grids import GRIDS, LOOP, TRAINED
from mdm.sampling.kept import CACHES
from mdm.sampling.orders import ORDERS
from mdm.sampling.remasking import REMASKS
from mdm.sampling.sampler import sample
from mdm.sampling.settings import SamplerSettings
from mdm.tokens.rows import TARGET
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary
from tests.sampling.conftest import Cheap, write

VOCABULARY = Vocabulary.of({"text": (7,), "image": (9,), "audio": (5, 6)})
LENGTH = 40
GIVEN = {"text": np.array([1, 2, 3], np.int32), "image": np.arange(4, dtype=np.int32).reshape(2, 2),
         "audio": np.array([[0, 1], [2, 3]], np.int32)}  # fmt: skip
SHAPES = {"text": (6,), "image": (2, 2), "audio": (4, 2)}

RULES = st.builds(
    SamplerSettings,
    order=st.sampled_from(list(ORDERS)), steps=st.sampled_from([1, 3, 8, 40]),
    grid=st.sampled_from([*GRIDS, "geometric", "polynomial-2", LOOP, TRAINED]),
    temperature=st.sampled_from([0.0, 0.7, 1.0]), top_p=st.sampled_from([0.5, 1.0]), top_k=st.sampled_from([0, 2]),
    min_p=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
    guidance=st.sampled_from([1.0, 3.0]), noise=st.sampled_from([0.0, 4.5]),
    threshold=st.sampled_from([0.2, 0.9]), entropy_bound=st.sampled_from([0.0, 1.0]), block=st.sampled_from([0, 1, 3, 64]),
    remask=st.sampled_from([*REMASKS, "none", "cap-0.05-0.55", "conf-0-0.5"]),
    eta=st.sampled_from([0.1, 1.0]), corrector=st.sampled_from([0.0, 0.0, 0.3]),
    guidance_schedule=st.sampled_from(["constant", "linear", "interval-0.2-0.8"]), reuse=st.booleans(),
    cache=st.sampled_from([*CACHES, "dual"]), refresh=st.sampled_from([0, 1, 2]),
).filter(lambda rule: not rule.problems("rule")).map(lambda rule: rule.on_schedule("cosine"))  # fmt: skip


def request(task: str, keep: bool = False) -> Request:
    own = TASKS[task]
    given_ = {m: GIVEN[m] for m in own.conditions}
    known = {}
    if keep:  # infilling: half of the first target is known
        modality = own.targets[0]
        given_[modality] = GIVEN[modality]
        known = {modality: np.arange(GIVEN[modality].size).reshape(GIVEN[modality].shape) % 2 == 0}
    return Request(task, given_, {m: SHAPES[m] for m in own.targets if m not in given_}, known)


# Every order, cache and way of remasking at least once, with tasks whose targets end, are given in part, or have conditions.
TELLING = {
    "joint-audio-text": [
        SamplerSettings(order="ancestral", grid="cosine", steps=6, top_p=0.9, remask="cap", eta=1.0),
        SamplerSettings(order="random", steps=5, block=4, remask="conf", eta=0.5, corrector=0.4, cache="dual", refresh=2),
        SamplerSettings(order="entropy-bounded", entropy_bound=1.0, temperature=0.7),
        SamplerSettings(order="first-hitting", block=3, cache="prefix"),
        SamplerSettings(order="random", grid="loop", steps=40, remask="cap-0.05-0.55", eta=0.1),
    ],
    "text-to-speech": [
        SamplerSettings(order="confidence", grid="geometric", steps=4, noise=4.5, guidance=3.0, guidance_schedule="linear",
                        block=3, cache="dual"),
        SamplerSettings(order="margin", steps=8, remask="rescale", guidance=2.0, guidance_schedule="interval-0.2-0.8"),
        SamplerSettings(order="threshold", threshold=0.3, temperature=0.0, guidance=2.0, block=4, cache="prefix", refresh=3),
        SamplerSettings(order="entropy", steps=3, reuse=False, corrector=0.5, top_k=2),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("task", "rule"), [(task, rule) for task, rules in TELLING.items() for rule in rules],
                         ids=lambda x: x if isinstance(x, str) else f"{x.order}-{x.grid}-{x.remask}-{x.cache}")  # fmt: skip
def test_what_may_never_happen(task, rule):
    requests = [request(task), request(task, keep=True)]
    canvas = build_canvas(requests, VOCABULARY, LENGTH)
    layout = layout_of(canvas, VOCABULARY)
    swapped = jax.tree.map(lambda a: a[::-1], canvas)
    run = jax.jit(
        lambda bias, canvas, seeds: (
            sample(Cheap(VOCABULARY, end_bias=bias), canvas, VOCABULARY, rule, seeds, layout).canvas
        )
    )
    for bias, seed in ((0.0, 0), (-9.0, 1), (9.0, 2), (2.0, 3), (1.0, 4), (3.0, 5)):
        seeds = np.array([seed, 9], np.uint32)
        done = run(bias, canvas, seeds)
        assert_legal(done, canvas, requests)
        np.testing.assert_array_equal(run(bias, swapped, seeds[::-1].copy()).rows.ids[::-1], done.rows.ids)
        other = run(bias, canvas, np.array([seed + 1, 9], np.uint32))
        np.testing.assert_array_equal(other.rows.ids[1], done.rows.ids[1])


CASES = st.tuples(st.sampled_from(list(TASKS)), st.booleans(), RULES, st.integers(0, 2**31), st.floats(-9, 9))


@settings(max_examples=2, deadline=None, phases=[Phase.generate])  # a failure is told as it is: shrinking takes minutes
@given(CASES)
def test_what_may_never_happen_in_a_few_settings(case):
    never_happens(*case)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(CASES)
def test_what_may_never_happen_whatever_the_settings(case):
    canvas, done, run, seeds = never_happens(*case)
    row = int(seeds[0]) % 2
    one = jax.tree.map(lambda a: a[row : row + 1], canvas)
    np.testing.assert_array_equal(run(one, seeds[row : row + 1]).rows.ids[0], done.rows.ids[row])


def never_happens(task, keep, rule, seed, end_bias):
    """Illegal results, and rows that their place in a batch changes."""
    requests = [request(task, keep), request(task, not keep)]
    canvas, seeds = build_canvas(requests, VOCABULARY, LENGTH), np.array([seed, seed + 1], np.uint32)
    layout, denoiser = layout_of(canvas, VOCABULARY), Cheap(VOCABULARY, end_bias=end_bias)
    run = jax.jit(lambda canvas, seeds: sample(denoiser, canvas, VOCABULARY, rule, seeds, layout).canvas)
    done = run(canvas, seeds)
    assert_legal(done, canvas, requests)
    swapped = run(jax.tree.map(lambda a: a[::-1], canvas), seeds[::-1].copy())
    np.testing.assert_array_equal(swapped.rows.ids[::-1], done.rows.ids)
    return canvas, done, run, seeds


def assert_legal(done, canvas, requests):
    """No mask survives, ids stay in their range, what is given never changes, behind an END stand only ENDs."""
    ids, before = np.asarray(done.rows.ids), canvas.rows.ids
    assert not np.asarray(done.masked).any() and VOCABULARY.mask not in ids
    np.testing.assert_array_equal(ids[~canvas.masked], before[~canvas.masked])
    for row, place in zip(*np.nonzero(canvas.rows.roles == TARGET), strict=True):
        own = VOCABULARY.ranges[canvas.rows.ranges[row, place]]
        assert own.start <= ids[row, place] < own.stop
    ends = find_ends(canvas.rows, VOCABULARY, layout_of(canvas, VOCABULARY).counts)
    for span, row in itertools.product(np.asarray(ends.spans), range(len(ids))):
        is_end = (ids == np.asarray(ends.ids))[row][span[row]]
        assert (np.diff(is_end.astype(int)) >= 0).all()
    for document in read_canvas(done, requests, VOCABULARY):
        for modality, codes in document.items():
            sizes = {"text": [7], "image": [9], "audio": [5, 6]}[modality]
            assert codes.size == 0 or (codes.reshape(-1, len(sizes)) < sizes).all()


@pytest.mark.parametrize(
    "change",
    [{"remask": "rescale", "eta": 0.9}, pytest.param({"corrector": 0.5, "steps": 6}, marks=pytest.mark.slow)],
    ids=str,
)
def test_an_end_that_is_written_again_moves_alone_as_in_a_batch(change):
    """Into the next block, which a row is to visit whether or not a neighbour has something to write there."""
    rule = SamplerSettings(**{"order": "random", "steps": 8, "block": 4, **change})
    many = build_canvas([Request("text", {}, {"text": (12,)})] * 32, VOCABULARY, 16)
    layout, seeds = layout_of(many, VOCABULARY), np.arange(32, dtype=np.uint32)
    flat = Cheap(VOCABULARY, end_bias=0.5)
    flat.columns = jnp.zeros_like(flat.columns)
    run = jax.jit(lambda canvas, seeds: sample(flat, canvas, VOCABULARY, rule, seeds, layout).canvas.rows.ids)
    together = np.asarray(run(many, seeds))
    own = VOCABULARY.ranges[0]
    lengths = (together[:, 2:14] < own.stop - 1).sum(1)
    assert len(set(lengths.tolist())) > 5
    one = jax.tree.map(lambda a: a[:1], many)
    for row in range(32):
        np.testing.assert_array_equal(run(one, seeds[row : row + 1])[0], together[row])


def test_a_length_that_is_asked_for_is_the_length():
    wanted = Request("joint-audio-text", {}, {"text": (5,), "audio": (4, 2)}, exact=("text", "audio"))
    free = Request("joint-audio-text", {}, {"text": (5,), "audio": (4, 2)})
    rule = SamplerSettings(order="confidence", steps=3, remask="cap", eta=1.0)
    canvas = build_canvas([wanted, free], VOCABULARY, LENGTH)
    done = write(Cheap(VOCABULARY, end_bias=9.0), canvas, VOCABULARY, rule, np.array([1, 1], np.uint32)).canvas
    assert_legal(done, canvas, [wanted, free])
    exact, other = read_canvas(done, [wanted, free], VOCABULARY)
    assert (exact["text"].size, exact["audio"].size) == (5, 8)
    assert other["text"].size + other["audio"].size < 13


@pytest.mark.parametrize("order", ["ancestral", "first-hitting", "confidence"])
def test_only_what_may_be_written_is_drawn(order, monkeypatch):
    """A blind order draws what it chose, the others what is masked: in parts, as many as that needs."""
    parts = []
    law = draws._draw_range

    def counted(*arguments):
        jax.debug.callback(lambda: parts.append(1))
        return law(*arguments)

    monkeypatch.setattr(draws, "_draw_range", counted)
    canvas = build_canvas([Request("text", {}, {"text": (128,)})], VOCABULARY, 130)
    rule = SamplerSettings(order=order, steps=4 if order == "ancestral" else 128)
    done = write(Cheap(VOCABULARY, end_bias=-99.0), canvas, VOCABULARY, rule, np.array([1], np.uint32))
    jax.effects_barrier()
    if order == "ancestral":
        assert int(done.calls.whole) == 4 and 4 <= len(parts) <= 8
    else:  # one position a step, in parts of 32
        assert int(done.calls.whole) == 128
        assert len(parts) == (128 if order == "first-hitting" else sum(-(-left // 32) for left in range(1, 129)))


def test_a_row_is_written_alone_as_in_a_batch():
    rule = SamplerSettings(order="confidence", steps=4, noise=1.0, block=3, cache="dual")
    one = build_canvas([request("text-to-image")], VOCABULARY, LENGTH)
    many = build_canvas([request("text-to-image")] * 3, VOCABULARY, LENGTH)
    alone = write(Cheap(VOCABULARY), one, VOCABULARY, rule, np.array([5], np.uint32))
    together = write(Cheap(VOCABULARY), many, VOCABULARY, rule, np.array([9, 5, 5], np.uint32))
    for one, three in ((alone.canvas.rows.ids, together.canvas.rows.ids), (alone.turns, together.turns)):
        np.testing.assert_array_equal(one[0], three[1])
        np.testing.assert_array_equal(three[1], three[2])


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (SamplerSettings(order="first-hitting", block=3), [0, 1, 2, 3]),
        (SamplerSettings(order="random", steps=2), [0, 0, 1, 1]),
    ],
)
def test_turns_count_what_was_written_and_leave_out_what_was_given(rule, wanted):
    canvas = build_canvas([request("text-to-image"), request("text-to-image", keep=True)], VOCABULARY, LENGTH)
    turns = write(Cheap(VOCABULARY), canvas, VOCABULARY, rule, np.array([5, 6], np.uint32)).turns
    assert sorted(turns[0][canvas.masked[0]].tolist()) == wanted
    assert sorted(turns[1][canvas.masked[1]].tolist()) == [0, 1]
    assert (np.asarray(turns)[~canvas.masked] == -1).all()


def test_turns_are_of_the_last_time_that_a_position_was_written():
    """Against what the network was shown, call by call; under remasking and a corrector."""
    shown = []

    class Watched(Cheap):
        def hidden(self, ids, *others):
            jax.debug.callback(lambda now: shown.append(np.array(now[0])), ids, ordered=True)
            return super().hidden(ids, *others)

    rule = SamplerSettings(order="random", steps=8, remask="rescale", eta=0.6, corrector=0.3, reuse=False)
    canvas = build_canvas([Request("text-to-image", {"text": GIVEN["text"]}, {"image": (3, 4)})], VOCABULARY, LENGTH)
    done = sample(Watched(VOCABULARY), canvas, VOCABULARY, rule, np.array([3], np.uint32))
    jax.effects_barrier()
    masked = np.stack([*shown, np.asarray(done.canvas.rows.ids[0])]) == VOCABULARY.mask
    written = masked[:-1] & ~masked[1:]
    assert (written.sum(0) > 1).any()  # some of them more than once
    own = canvas.masked[0]
    last = len(written) - 1 - np.argmax(written[::-1], axis=0)[own]
    turns = np.asarray(done.turns[0])[own]
    np.testing.assert_array_equal(last[:, None] < last, turns[:, None] < turns)


def test_one_program_serves_every_canvas_of_the_same_shapes():
    rule = SamplerSettings(steps=4)
    canvases = [build_canvas([request("text-to-image")], VOCABULARY, LENGTH) for _ in range(2)]
    canvases[1].rows.ids[0, 2] = 3
    layout = layout_of(canvases[0], VOCABULARY)
    run = jax.jit(lambda canvas, seeds: sample(Cheap(VOCABULARY), canvas, VOCABULARY, rule, seeds, layout))
    inside = [run(canvas, np.array([1], np.uint32)).canvas.rows.ids for canvas in canvases]
    outside = sample(Cheap(VOCABULARY), canvases[1], VOCABULARY, rule, np.array([1], np.uint32)).canvas.rows.ids
    np.testing.assert_array_equal(inside[1], outside)
    assert (inside[0] != inside[1]).any()
    assert run._cache_size() == 1


def test_temperature_zero_is_deterministic():
    rule = SamplerSettings(order="confidence", steps=8, temperature=0.0)
    canvas = build_canvas([request("text-to-image")] * 2, VOCABULARY, LENGTH)
    done = write(Cheap(VOCABULARY), canvas, VOCABULARY, rule, np.array([1, 2], np.uint32)).canvas
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
    done = write(Echo(), canvas, VOCABULARY, rule, np.arange(4000, dtype=np.uint32)).canvas
    image = np.asarray(done.rows.ids)[canvas.masked] - VOCABULARY.ranges[1].start
    wanted = np.exp(scale) / (np.exp(scale) + 8)
    assert abs((image == 1).mean() - wanted) < 0.015


def test_every_task_has_a_default():
    assert set(DEFAULTS) == set(TASKS)
    assert not list(itertools.chain.from_iterable(rule.problems(task) for task, rule in DEFAULTS.items()))
