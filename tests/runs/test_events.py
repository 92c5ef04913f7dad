"""Events: what TensorBoard shows besides curves, and a disk that is full."""

import io

import numpy as np
import pytest
import soundfile
from etils import epath
from PIL import Image

from mdm.runs import events
from mdm.runs.events import Events
from tests import event_files


def values(folder):
    return [(event.step, value) for event in event_files.read(folder) for value in event.summary.value]


def test_pictures_sounds_and_texts_come_back(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    wave = np.sin(np.arange(800) / 9).astype(np.float32) * 1.5  # louder than a file holds
    own = Events(epath.Path(tmp_path), None)
    own.write_picture(4, "a/image", pixels)
    own.write_sound(4, "a/audio/0", wave, 8000)
    own.write_text(4, "a/text", "    *as it is* \N{SNOWMAN}")
    own.close()
    (_, picture), (_, sound), (step, text) = values(tmp_path)
    np.testing.assert_array_equal(Image.open(io.BytesIO(picture.image.encoded_image_string)), pixels)
    heard, rate = soundfile.read(io.BytesIO(sound.audio.encoded_audio_string))
    assert rate == sound.audio.sample_rate == 8000 and sound.audio.content_type == "audio/wav"
    np.testing.assert_allclose(heard, wave.clip(-1, 1), atol=1e-4)
    assert step == 4 and text.metadata.plugin_data.plugin_name == "text"
    assert text.tensor.string_val[0].decode() == "    *as it is* \N{SNOWMAN}"


def test_without_a_first_step_nothing_of_an_earlier_start_is_hidden(tmp_path):
    for step in (8, 4):
        own = Events(epath.Path(tmp_path), None)
        own.write(step, {"a": 1.0})
        own.close()
    assert [event.step for event in event_files.read(tmp_path)] == [0, 8, 0, 4]  # 0: the head of a file


def test_what_cannot_be_written_is_told_and_the_next_may_be(tmp_path, monkeypatch):
    own = Events(epath.Path(tmp_path), None)

    def full(self, event):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(events.EventsWriter, "write_event", full)
        with pytest.raises(OSError, match="No space"):
            own.write_text(4, "a", "b")
    own.write(8, {"a": 1.0})
    own.close()
    assert [step for step, _ in values(tmp_path)] == [8]
