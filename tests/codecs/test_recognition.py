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


@pytest.mark.parametrize(
    "text, words",
    [
        ("Für über  'STRASSE', Straße!", "für über strasse strasse"),
        ("Му\u0301ка — МИР, и война", "му\u0301ка мир и война"),  # noqa: RUF001
        ("cafe\u0301 CAFÉ", "café café"),
        ("don't ‘rock\u2019n\u2019roll\u2019 o\u02bcclock dogs'", "don't rock'n'roll o'clock dogs"),  # noqa: RUF001
        ("हिन्दी में", "हिन्दी में"),
        ("می\u200cخواهم so\u00adft", "میخواهم soft"),  # noqa: RUF001
        ("snake_case 3.5 e-mail", "snake case 3 5 e mail"),
        ("❤\ufe0f!? ...''", ""),
    ],
)
def test_words_are_those_of_any_script(text, words):
    assert recognition.words(text) == words


@pytest.mark.skipif(importlib.util.find_spec("jiwer") is None, reason="needs jiwer")
def test_other_words_are_errors_in_any_script():
    said, found = ([recognition.words(text) for text in texts] for texts in (("мир", "!?"), ("война", "слово")))
    errors, count = recognition.word_errors(said, found)
    assert (errors.tolist(), count.tolist()) == ([1, 0], [1, 0])  # what has no word counts for nothing
