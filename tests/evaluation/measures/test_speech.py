"""Loudness, silence and mel statistics of sounds that are known; words by a recogniser are the slow test."""

import csv

import numpy as np
import pytest

from mdm.codecs import recognition
from mdm.codecs.codec import Sound
from mdm.data import media, samples
from mdm.evaluation.measures import speech

RATE = 16_000
SINE = np.sin(np.arange(RATE) / 5).astype(np.float32)
ZEROS = np.zeros(RATE, np.float32)
SPEECH = samples.directory() / "speech"


def document(*parts, rate=RATE):
    return {"audio": Sound(np.concatenate([np.zeros(0, np.float32), *parts]), rate)}


def recordings(voice, count, step=1):
    rows = csv.DictReader((SPEECH / "transcripts.tsv").open(encoding="utf-8"), delimiter="\t")
    said = {row["file"]: row["transcript"] for row in rows}
    names = [f"{n:03d}-{voice}.ogg" for n in range(1, 1 + step * count, step)]
    return [{"text": said[name], "audio": media.read_sound(SPEECH / name)} for name in names]


@pytest.mark.parametrize(
    ("sound", "share"), [((ZEROS,), 1.0), ((SINE,), 0.0), ((SINE, ZEROS), 0.5), ((SINE * 1e-5,), 1.0), ((), 1.0)]
)
def test_the_share_of_silence(sound, share):
    silent, _, _ = speech.SOUND.score([document(*sound)], [document(SINE)])
    assert silent.value == pytest.approx(share, abs=0.01)


def test_the_level_in_decibel_of_full_scale():
    for factor, level in ((1.0, -3.01), (0.1, -23.01), (0.0, -80.0)):
        assert speech.level(Sound(SINE * np.float32(factor), RATE)) == pytest.approx(level, abs=0.1)
    assert speech.level(Sound(ZEROS[:0], RATE)) == -80


def test_durations_are_told_in_seconds():
    made, own = [document(SINE), document(SINE, SINE)], [document(SINE), document(SINE, rate=RATE // 2)]
    assert speech.SOUND.score(made, own)[2] == (1, 0, None)
    assert speech.SOUND.score(made, [document(SINE)] * 2)[2].value == 1.5


def test_a_model_may_say_nothing():
    nothing, own = [document()] * 6, [document(SINE, ZEROS[:n]) for n in range(0, 6000, 1000)]
    for measure in (speech.SOUND, speech.OWN_RECORDING, speech.SPEECH_DISTANCES):
        scores = measure.score([{**one, "text": ""} for one in nothing], own)
        assert all(np.isfinite(score.value) for score in scores)


def test_the_same_words_in_another_voice_are_nearest():
    """No recogniser: above chance, in another voice, is all that warped cepstra can promise."""
    others, own = recordings("rms", 24, step=2), recordings("slt", 24, step=2)
    assert [one["text"] for one in others] == [one["text"] for one in own]
    (score,) = speech.OWN_RECORDING.score(others, own)
    assert score.chance == 1 / 24 and score.value > 0.6


def test_mel_statistics_tell_speech_from_noise_and_voices_apart():
    own, rms = recordings("slt", 16), recordings("rms", 16, step=2)
    assert 0.3 < np.square(speech.features([one["audio"] for one in own])).mean() < 3
    rng = np.random.default_rng(0)
    noise = [document(rng.normal(size=RATE).astype(np.float32) / 10) for _ in own]
    near, floor = speech.SPEECH_DISTANCES.score(own, own)
    assert near.value == 0
    for made, factor in ((noise, 10), (rms, 1)):
        kernel, frechet = speech.SPEECH_DISTANCES.score(made, own)
        assert kernel.value > 4 * kernel.error and frechet.value > factor * floor.value


@pytest.fixture
def recogniser(monkeypatch):
    """Hears these words in a sine and in silence; the result is the list of what it was given."""
    given = []
    monkeypatch.setattr(speech, "_heard", {})
    monkeypatch.setattr(
        recognition,
        "transcribe",
        lambda own: [given.append(s) or ("a blue car", "red apple")[int(s.samples.any())] for s in own],
    )
    return given


def test_words_are_counted_against_the_text_and_against_other_texts(recogniser):
    pytest.importorskip("jiwer")
    own = [{"text": "A red apple-tree!"}, {"text": "a blue car"}]
    (score,) = speech.WORDS.score([document(SINE), document(ZEROS)], own)
    assert score.value == pytest.approx(2 / 7)
    assert score.chance == pytest.approx((4 + 2) / 7)


def test_what_was_heard_once_is_not_heard_again(recogniser):
    assert speech.heard([document(SINE), document(ZEROS), document(SINE)]) == ["red apple", "a blue car", "red apple"]
    assert speech.heard([document(ZEROS), document(SINE, rate=8000)]) == ["a blue car", "red apple"]
    assert len(recogniser) == 3  # a sound at another rate is another sound


@pytest.mark.slow
@pytest.mark.skipif(not recognition.available(), reason="the extra `scorers` is not installed")
def test_recordings_are_heard_as_their_texts():
    own = recordings("slt", 12)
    (score,) = speech.WORDS.score(own, own)
    assert score.value < 0.25 and score.chance > 0.6
    (silent,) = speech.WORDS.score([document(ZEROS)] * 12, own)
    assert silent.value > 0.9
