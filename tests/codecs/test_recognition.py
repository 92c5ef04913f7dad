"""What a codec costs in words; the recogniser itself is an extra."""

import importlib.util

import pytest

from mdm.codecs import recognition
from mdm.data import media, samples
from mdm.problems import Refusal


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    recognition._model.cache_clear()
    with pytest.raises(Refusal, match=r"mdm\[scorers\]"):
        recognition.transcribe([])


@pytest.mark.skipif(not recognition.available(), reason="the extra `scorers` is not installed")
def test_a_spoken_sentence_is_understood():
    sound = media.read_sound(samples.directory() / "speech" / "001-slt.ogg")
    assert "koala" in recognition.transcribe([sound])[0]


@pytest.mark.skipif(not recognition.available(), reason="the extra `scorers` is not installed")
def test_word_errors_are_counted_over_all_words():
    assert recognition.word_error_rate(["a b c", "", "d"], ["a x c", "noise", "d"]) == 0.25
    assert recognition.word_error_rate([""], ["x"]) == 0.0
