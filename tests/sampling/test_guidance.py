import jax.numpy as jnp
import numpy as np
import pytest

from mdm.diffusion.corruption import CorruptionSettings, corrupt
from mdm.problems import Refusal
from mdm.sampling.canvas import Request, build_canvas
from mdm.sampling.guidance import both_branches, guide, parse_schedule, scale_of
from mdm.tokens.rows import Batch, row_number


def test_one_convention():
    conditional, unguided = np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]])
    both = jnp.concatenate([conditional, unguided])
    np.testing.assert_allclose(guide(both, 1.0), conditional)
    np.testing.assert_allclose(guide(both, 0.0), unguided)
    np.testing.assert_allclose(guide(both, 3.0), unguided + 3 * (conditional - unguided))


def test_the_unguided_branch_is_what_dropped_conditions_look_like_in_training(vocabulary):
    text = np.arange(5, dtype=np.int32)
    canvas = build_canvas([Request("text-to-image", {"text": text}, {"image": (3, 3)})], vocabulary, 32)
    both = both_branches(canvas.rows, vocabulary.mask)
    np.testing.assert_array_equal(both.ids[:1], canvas.rows.ids)
    batch = Batch(canvas.rows, row_number([0]), np.zeros(1, np.int32), np.zeros(1, np.uint32))
    trained = corrupt(batch, CorruptionSettings(condition_drop=0.999999), 0, vocabulary.mask)
    assert trained.dropped[0, 0]
    np.testing.assert_array_equal(both.ids[1:], np.where(canvas.masked, vocabulary.mask, trained.ids))
    for name in ("segments", "positions", "ranges", "roles", "tasks"):
        np.testing.assert_array_equal(getattr(both, name)[1:], getattr(canvas.rows, name))


def test_a_row_is_guided_by_its_own_scale():
    both = jnp.concatenate([jnp.ones((2, 3)), jnp.zeros((2, 3))])
    np.testing.assert_allclose(guide(both, jnp.array([1.0, 4.0])), [[1.0] * 3, [4.0] * 3])


def test_schedules_of_guidance():
    masked = jnp.array([1.0, 0.75, 0.5, 0.0])
    np.testing.assert_allclose(scale_of("constant", 5.0, masked), [5, 5, 5, 5])
    np.testing.assert_allclose(scale_of("linear", 5.0, masked), [1, 2, 3, 5])
    np.testing.assert_allclose(scale_of("interval-0.25-0.75", 5.0, masked), [1, 5, 5, 1])


@pytest.mark.parametrize("name", ["ramp", "interval", "interval-0.5", "interval-0.5-0.5", "linear-2", "interval-a-b"])
def test_other_schedules_are_refused(name):
    with pytest.raises(Refusal, match="interval-<low>-<high>"):
        parse_schedule(name)
