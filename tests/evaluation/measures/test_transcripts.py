"""Word and character errors against known edits, through jiwer."""

import pytest

from mdm.evaluation.measures.transcripts import TRANSCRIPTS

pytest.importorskip("jiwer")

SAID = ["The cat sat.", "on the mat", "all day long"]


def score(made):
    return TRANSCRIPTS.score([{"text": text} for text in made], [{"text": text} for text in SAID])


def test_texts_have_no_errors_against_themselves():
    words, characters = score(SAID)
    assert (words.value, words.error) == (characters.value, characters.error) == (0, 0)
    assert words.chance > 0.9


def test_a_deletion_an_insertion_and_a_replacement():
    words, characters = score(["cat sat", "on the the mat", "all day lung"])
    assert words.value == pytest.approx(3 / 9)
    assert characters.value == pytest.approx((4 + 4 + 1) / (11 + 10 + 12))
    assert words.error == 0  # one error in every three words


def test_nothing_was_written():
    assert score(["", "", ""])[0].value == 1


def test_texts_without_a_word_are_told_and_count_for_nothing(caplog):
    said = [{"text": "мир"}, {"text": "!?"}, {"text": "да"}]
    with caplog.at_level("WARNING"):
        words, characters = TRANSCRIPTS.score([{"text": "мир"}, {"text": "а"}, {"text": "нет"}], said)  # noqa: RUF001
    assert words.value == 0.5 and characters.value == 3 / 5
    assert "1 of 3 texts hold no word" in caplog.text
    assert TRANSCRIPTS.score(said[1:2], said[1:2])[0].value is None
