"""Codecs from hostile or foreign files: refused by name, and before they cost memory."""

import dataclasses
import json

import numpy as np
import pytest

from mdm.codecs import fitting, registry
from mdm.codecs.image_fsq import ImageFsq, ImageFsqSettings
from mdm.codecs.storage import arrays_fingerprint, load_arrays
from mdm.problems import Refusal
from tests.codecs.conftest import pictures, quiet

SETTINGS = ImageFsqSettings(size=16, width=8, inner_width=12, blocks=1, steps=2, batch_size=8)


@pytest.fixture
def saved(tmp_path):
    ImageFsq.fit(pictures(4), SETTINGS, progress=quiet, state=None).save(tmp_path)
    return tmp_path


def replace_arrays(folder, arrays):
    """With a fingerprint that agrees, as whoever means harm would."""
    with open(folder / "weights.npz", "wb") as file:
        np.savez(file, **arrays)
    value = json.loads((folder / "codec.json").read_text())
    value["fingerprint"] = arrays_fingerprint("fsq-image", SETTINGS, arrays)
    (folder / "codec.json").write_text(json.dumps(value))


def test_compressed_arrays_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "weights.npz", zeros=np.zeros(10_000_000))
    assert (tmp_path / "weights.npz").stat().st_size < 200_000
    with pytest.raises(Refusal, match=r"weights\.npz.*compressed"):
        load_arrays(tmp_path / "weights.npz")


@pytest.mark.parametrize("change", ["nan", "shape", "type", "missing", "extra"])
def test_arrays_that_do_not_fit_are_refused(saved, change):
    arrays = load_arrays(saved / "weights.npz")
    name = next(iter(arrays))
    changes = {
        "nan": {name: np.full_like(arrays[name], np.nan)},
        "shape": {name: arrays[name][None]},
        "type": {name: arrays[name].astype(np.float64)},
        "extra": {"more": np.zeros(3)},
    }
    if change == "missing":
        del arrays[name]
    replace_arrays(saved, arrays | changes.get(change, {}))
    with pytest.raises(Refusal, match=r"weights\.npz.*does not fit its settings"):
        registry.load(saved)


@pytest.mark.parametrize(
    "key, value", [("size", "big"), ("size", 17), ("levels", 5), ("levels", [8, "x"]), ("width", 1.5)]
)
def test_settings_that_no_config_could_have_given_are_refused(saved, key, value):
    description = json.loads((saved / "codec.json").read_text())
    description["settings"][key] = value
    (saved / "codec.json").write_text(json.dumps(description))
    with pytest.raises(Refusal, match=rf"codec\.json.*{key}"):
        registry.load(saved)


def test_a_codec_is_not_loaded_as_another_kind(saved):
    with pytest.raises(Refusal, match="not a codec of kind mel-fsq"):
        registry.CODECS["mel-fsq"].load(saved)


class Interrupted(Exception):
    pass


def interrupt(step, steps, figures):
    raise Interrupted


@pytest.mark.parametrize("other", ["media", "settings", "damage"])
def test_the_state_of_another_fit_is_not_continued(tmp_path, monkeypatch, other):
    monkeypatch.setattr(fitting, "SAVE_SECONDS", -1.0)
    state = tmp_path / "state"
    with pytest.raises(Interrupted):
        ImageFsq.fit(pictures(4), SETTINGS, progress=interrupt, state=state)
    if other == "damage":
        state.write_bytes(state.read_bytes()[:-50])
    media = pictures(4, seed=1) if other == "media" else pictures(4)
    settings = dataclasses.replace(SETTINGS, learning_rate=1e-3) if other == "settings" else SETTINGS
    with pytest.raises(Refusal, match="state"):
        ImageFsq.fit(media, settings, progress=quiet, state=state)


def test_a_fit_that_diverged_is_refused():
    with pytest.raises(Refusal, match="diverged"):
        ImageFsq.fit(
            pictures(4), dataclasses.replace(SETTINGS, learning_rate=1e38, steps=4), progress=quiet, state=None
        )
