"""Mel frames and the way back."""

import numpy as np
import pytest

from mdm.codecs import mel
from mdm.codecs.codec import Sound
from tests.codecs.conftest import sounds


def test_fifty_frames_a_second():
    assert mel.log_mel(Sound(np.zeros(16_000, np.float32), 16_000)).shape == (50, mel.BANDS)
    assert len(mel.log_mel(Sound(np.zeros(1, np.float32), 16_000))) == 1
    assert len(mel.log_mel(Sound(np.zeros(321, np.float32), 16_000))) == 2


def test_a_tone_stands_in_its_band_and_a_full_sine_is_near_zero_decibel():
    t = np.arange(16_000) / 16_000
    frames = mel.log_mel(Sound(np.sin(2 * np.pi * 1000 * t).astype(np.float32), 16_000))
    middle = frames[25]
    assert -0.7 < middle.max() < 0.7
    higher = mel.log_mel(Sound(np.sin(2 * np.pi * 2000 * t).astype(np.float32), 16_000))[25]
    assert higher.argmax() > middle.argmax()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_other_rates_are_resampled(rate):
    t = np.arange(rate) / rate
    frames = mel.log_mel(Sound(np.sin(2 * np.pi * 1000 * t).astype(np.float32), rate))
    assert len(frames) == 50
    t = np.arange(16_000) / 16_000
    own = mel.log_mel(Sound(np.sin(2 * np.pi * 1000 * t).astype(np.float32), 16_000))
    assert frames[25].argmax() == own[25].argmax() and abs(frames[25].max() - own[25].max()) < 0.05


def test_sound_comes_back_with_the_same_mel():
    for sound in sounds(4):
        frames = mel.log_mel(sound)
        back = mel.to_sound(frames)
        assert len(back.samples) == len(frames) * mel.HOP and np.abs(back.samples).max() <= 1
        loud = frames > np.log(1e-2)
        error = np.abs(mel.log_mel(back) - frames)[loud] * mel.DECIBEL
        assert error.mean() < 1.5
        assert np.array_equal(back.samples, mel.to_sound(frames).samples)
