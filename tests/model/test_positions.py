import numpy as np
import pytest

from mdm.model.positions import rotate, rotations

HEAD, BASE = 12, 10_000.0


def turned(heads, positions):
    return np.asarray(rotate(np.float32(heads), rotations(np.int32(positions), HEAD, BASE)))


@pytest.fixture(scope="module")
def heads():
    return np.random.default_rng(0).normal(size=(2, 9, 3, HEAD)).astype(np.float32)  # [B, L, H, K]


def test_equal_axes_are_ordinary_rope(heads):
    place = np.random.default_rng(1).integers(0, 500, (2, 9))
    frequencies = BASE ** (-2 * np.arange(HEAD // 2) / HEAD)
    turn = np.exp(1j * place[:, :, None, None] * frequencies)
    plane = (heads[..., : HEAD // 2] + 1j * heads[..., HEAD // 2 :]) * turn
    expected = np.concatenate([plane.real, plane.imag], axis=-1)
    np.testing.assert_allclose(turned(heads, np.repeat(place[..., None], 3, axis=-1)), expected, atol=2e-4)


def test_scores_depend_on_relative_positions_only(heads):
    query, key = heads[:1], heads[1:]
    positions = np.random.default_rng(2).integers(0, 60, (1, 9, 3))
    scores = lambda p: np.einsum("blhk,bshk->bhls", turned(query, p), turned(key, p))  # noqa: E731
    np.testing.assert_allclose(scores(positions), scores(positions + np.array([40, 7, 23])), atol=1e-4)
    assert np.abs(scores(positions) - scores(positions * np.array([1, 2, 1]))).max() > 0.1


@pytest.mark.parametrize("axis", range(3))
def test_each_axis_turns_its_own_third_of_the_frequencies(heads, axis):
    positions = np.zeros((2, 9, 3), int)
    positions[..., axis] = 5
    changed = np.abs(turned(heads, positions) - heads).max(axis=(0, 1, 2)) > 1e-3
    expected = np.arange(HEAD // 2) % 3 == axis
    np.testing.assert_array_equal(changed[: HEAD // 2], expected)
    np.testing.assert_array_equal(changed[HEAD // 2 :], expected)


def test_rotation_keeps_length_and_dtype(heads):
    positions = np.random.default_rng(3).integers(0, 4000, (2, 9, 3))
    after = turned(heads, positions)
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), np.linalg.norm(heads, axis=-1), rtol=1e-5)
    rotation = rotations(np.int32(positions), HEAD, BASE)
    assert rotate(heads.astype("bfloat16"), rotation).dtype == "bfloat16"
