import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mdm.sampling.tokens import TokenRule, draw, gumbel, truncate

LOGITS = arrays(
    np.float32, (3, 8), elements=st.floats(-20, 20, width=32, allow_subnormal=False)
)  # XLA flushes them to 0
few = settings(max_examples=60, deadline=None)


def probabilities(logits):
    return np.asarray(jax.nn.softmax(jnp.asarray(logits, jnp.float32), axis=-1), np.float64)


def kept(logits, **rule):
    if "top_p" in rule:  # as an array: each other number in the program would be compiled anew
        rule["top_p"] = jnp.float32(rule["top_p"])
    return np.isfinite(np.asarray(truncate(jnp.asarray(logits), TokenRule(**rule))))


@few
@given(LOGITS, st.integers(1, 9), st.floats(1e-6, 1.0), st.floats(0, 1))
def test_the_likeliest_symbol_survives_every_truncation(logits, k, p, m):
    for rule in ({"top_k": k}, {"top_p": p}, {"min_p": m}, {"top_k": k, "top_p": p, "min_p": m}):
        assert kept(logits, **rule)[np.arange(3), logits.argmax(-1)].all(), rule


@few
@given(LOGITS, st.integers(1, 8))
def test_top_k_keeps_the_k_likeliest_and_their_equals(logits, k):
    least = np.sort(logits, axis=-1)[:, -k]
    np.testing.assert_array_equal(kept(logits, top_k=k), logits >= least[:, None])


@few
@given(LOGITS, st.floats(0.01, 0.99))
def test_top_p_keeps_enough_and_no_more(logits, p):
    law, keep = probabilities(logits), kept(logits, top_p=p)
    for row in range(3):
        mass = law[row][keep[row]].sum()
        assert mass >= p - 1e-5
        least = law[row][keep[row]].min()
        strictly = law[row][keep[row] & (law[row] > least * (1 + 1e-6))].sum()
        assert strictly < p + 1e-5  # without the last (and its equals) it would not be enough


@few
@given(LOGITS, st.floats(0.001, 1))
def test_min_p_is_relative_to_the_likeliest(logits, m):
    ratio = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    keep = kept(logits, min_p=m)
    assert keep[ratio > m * 1.0001].all() and not keep[ratio < m * 0.9999].any()


def keys_of(seed, shape):
    return jax.random.split(jax.random.key(seed), shape)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_follow_the_tempered_distribution(temperature):
    logits = jnp.log(jnp.array([0.6, 0.3, 0.0999, 0.0001]))
    n = 200_000
    noise = gumbel(keys_of(0, (n,)), 4)
    symbols = draw(jnp.broadcast_to(logits, (n, 4)), noise, TokenRule(temperature=temperature))
    law = probabilities(logits / temperature)
    share = np.bincount(np.asarray(symbols), minlength=4) / n
    assert np.abs(share - law).max() < 5 * np.sqrt(0.25 / n)
    assert abs(share[3] - law[3]) < 5 * np.sqrt(law[3] / n)


def test_noise_is_fine_in_its_upper_tail():
    """A rare symbol wins by noise from the tail. Ordinary float32 noise comes from uniform numbers in steps of 2^-23: above 8 it
    has some 2,800 values and ends near 16.6. Here the thousand that are drawn there all but never repeat one."""
    noise = np.concatenate([np.asarray(gumbel(keys_of(seed, (1000,)), 1000)).ravel() for seed in range(3)])
    assert noise.dtype == np.float32
    tail = noise[noise > 8]
    assert tail.size > 900 and len(np.unique(tail)) / tail.size > 0.97
    # It is a law: P(G > 12) = 6.1e-6 of 3e6 draws.
    assert abs((noise > 12).sum() - 3e6 * 6.144e-6) < 5 * np.sqrt(3e6 * 6.144e-6)


def test_temperature_zero_takes_the_likeliest_without_noise():
    logits = jnp.array([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(draw(logits, None, TokenRule(temperature=0.0)), [1, 0])


def test_bfloat16_logits_are_widened_before_the_draw():
    logits = (3 * jax.random.normal(jax.random.key(1), (500, 5))).astype(jnp.bfloat16)
    noise, rule = gumbel(keys_of(0, (500,)), 5), TokenRule(temperature=0.3)
    np.testing.assert_array_equal(draw(logits, noise, rule), draw(logits.astype(jnp.float32), noise, rule))
    narrow = jnp.argmax(logits / jnp.bfloat16(0.3) + noise.astype(jnp.bfloat16), axis=-1)
    assert (draw(logits, noise, rule) != narrow).any()


def test_noise_of_a_position_is_its_own():
    keys = keys_of(3, (2, 5))
    np.testing.assert_array_equal(gumbel(keys, 6)[1, 2], gumbel(keys[1:, 2:3], 6)[0, 0])
