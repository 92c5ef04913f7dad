"""The mark beside a codec vouches for that codec, whole, and for no other."""

import pytest

from mdm.codecs import registry
from mdm.codecs.text_bpe import Bpe, BpeSettings
from mdm.data import preparation
from mdm.data.preparation import CodecChoice, prepare
from tests.data import prose


def fitted(patch, settings, directory):
    """Prepares until the codecs are there; the text codec."""
    with patch.context() as own, pytest.raises(KeyboardInterrupt):
        own.setattr(preparation, "_encode", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        prepare(settings, directory)
    return registry.load(directory / "codecs/text").fingerprint


@pytest.fixture
def of_words(tmp_path):
    """Settings with a BPE of so many codes."""
    media = prose.write(tmp_path / "prose")
    return lambda codes: prose.settings_of(media, codecs={"text": CodecChoice("bpe", BpeSettings(codes))})


@pytest.mark.parametrize("whole", [True, False])
def test_a_codec_that_takes_the_place_of_another_is_never_taken_for_it(tmp_path, monkeypatch, of_words, whole):
    """Neither after a kill behind its last file, or amid them, nor where somebody copied it there."""
    wanted, other = (fitted(monkeypatch, of_words(n), tmp_path / f"{n}") for n in (300, 290))
    folder, save = tmp_path / "300/codecs/text", Bpe.save

    def killed(codec, folder):
        save(codec, folder)
        if not whole:
            (folder / "codec.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Bpe, "save", killed)
        prepare(of_words(290), tmp_path / "300")
    assert not whole or registry.load(folder).fingerprint == other
    assert fitted(monkeypatch, of_words(300), tmp_path / "300") == wanted
    registry.load(tmp_path / "290/codecs/text").save(folder)
    assert fitted(monkeypatch, of_words(300), tmp_path / "300") == wanted


@pytest.mark.parametrize("mark", ["", "[]", '{"fingerprint": 1}', None])
def test_a_codec_without_a_whole_mark_is_fitted_again(tmp_path, monkeypatch, of_words, mark):
    wanted, file = fitted(monkeypatch, of_words(300), tmp_path / "set"), tmp_path / "set/codecs/text/fitted.json"
    whole = file.read_text()
    (file.write_text(mark) if mark is not None else file.unlink())
    assert fitted(monkeypatch, of_words(300), tmp_path / "set") == wanted and file.read_text() == whole
