"""Spikes are told, noise and new levels are not."""

import math

import numpy as np

from mdm.training.spikes import Spikes

RNG = np.random.default_rng(0)


def looks(spikes, losses):
    return [step for step, loss in enumerate(losses) if spikes.look(loss) is not None]


def test_one_outlier_is_a_spike_and_does_not_hide_the_next():
    losses = 3 + 0.1 * RNG.normal(size=400)
    losses[200] = losses[210] = 6.0
    assert looks(Spikes(8.0), losses) == [200, 210]


def test_noise_a_falling_loss_and_the_begin_are_none():
    losses = 2 + 6 * np.exp(-np.arange(2000) / 300) + 0.3 * RNG.normal(size=2000)
    assert looks(Spikes(8.0), losses) == []


def test_a_new_level_becomes_the_usual_one():
    losses = np.concatenate([3 + 0.1 * RNG.normal(size=200), 9 + 0.1 * RNG.normal(size=800)])
    found = looks(Spikes(8.0), losses)
    assert found[0] == 200 and found[-1] < 400


def test_what_is_not_finite_is_not_looked_at_and_zero_switches_it_off():
    spikes = Spikes(8.0)
    losses = 3 + 0.1 * RNG.normal(size=200)
    losses[100] = math.nan
    assert looks(spikes, losses) == [] and spikes.look(30.0) > 8
    assert looks(Spikes(0.0), [3.0] * 100 + [1e9]) == []
