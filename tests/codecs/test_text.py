"""Text codecs: what goes in comes back, and whatever a generator writes can be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm.codecs import registry
from mdm.codecs.text_bpe import Bpe, BpeSettings
from mdm.codecs.text_bytes import Bytes, BytesSettings
from mdm.problems import Refusal
from tests.codecs.conftest import quiet

CORPUS = ["a red apple and a green apple", "the apple is red", "ein grüner Apfel 🍏"] * 5
BPE = Bpe.fit(CORPUS, BpeSettings(300), progress=quiet, state=None)
CODECS = [BPE, Bytes.fit(CORPUS, BytesSettings(), progress=quiet, state=None)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
@given(texts=st.lists(TEXT, min_size=1, max_size=4))
def test_any_text_comes_back(codec, texts):
    codes = codec.encode(texts)
    assert codec.decode(codes) == texts
    assert all(own.dtype == np.int32 and own.min() >= 0 and own.max() < codec.codebooks[0] for own in codes)
    assert all(np.array_equal(codec.encode([text])[0], own) for text, own in zip(texts, codes, strict=True))


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
@given(codes=st.lists(st.integers(0, 255), max_size=40))
def test_any_codes_are_some_text(codec, codes):
    (text,) = codec.decode([np.array(codes, np.int32)])
    text.encode()


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
@given(text=TEXT, at=st.integers(0, 60))
def test_a_text_has_its_bytes_wherever_its_codes_are_cut(codec, text, at):
    (codes,) = codec.encode([text])
    assert codec.utf8(codes[:at]) + codec.utf8(codes[at:]) == text.encode()


def test_merges_were_learnt():
    assert len(BPE.encode(["the red apple"])[0]) < 8
    assert BPE.ceiling(["a red apple"])["bytes_per_token"] > 1.5
    assert BPE.ceiling(CORPUS)["unchanged"] == 1


def test_training_is_a_function_of_the_media():
    again = Bpe.fit(CORPUS, BpeSettings(300), progress=quiet, state=None)
    other = Bpe.fit([*CORPUS, "more pears " * 9], BpeSettings(300), progress=quiet, state=None)
    assert again.fingerprint == BPE.fingerprint != other.fingerprint


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
@pytest.mark.parametrize("text", ["", "\ud800", None, np.zeros(3)], ids=["empty", "surrogate", "none", "array"])
def test_unusable_text_is_refused(codec, text):
    with pytest.raises(Refusal, match="text"):
        codec.encode([text])


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
def test_saved_and_loaded_it_is_the_same(codec, tmp_path):
    codec.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert loaded.fingerprint == codec.fingerprint and loaded.codebooks == codec.codebooks
    assert np.array_equal(loaded.encode(["a pear"])[0], codec.encode(["a pear"])[0])


def test_a_changed_tokenizer_is_refused(tmp_path):
    BPE.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("apple", "opple"))
    with pytest.raises(Refusal, match=r"tokenizer\.json"):
        registry.load(tmp_path)
    path.write_text("{")
    with pytest.raises(Refusal, match=r"tokenizer\.json"):
        registry.load(tmp_path)


def test_no_texts_are_refused():
    with pytest.raises(Refusal, match="fit of the text codec"):
        Bpe.fit([], BpeSettings(300), progress=quiet, state=None)
    with pytest.raises(Refusal, match="ceiling of the text codec"):
        BPE.ceiling([])
