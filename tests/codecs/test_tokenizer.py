"""Tokenizers that exist: every format gives its library's own codes, is copied whole, and says what is missing."""

import base64
import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from mdm.codecs import registry
from mdm.codecs.tokenizer import PATTERNS, PretrainedTokenizer, TokenizerSettings
from mdm.fingerprint import file_digest, fingerprint
from mdm.problems import Refusal

TEXTS = ["The cat sat on the mat.", "Größe & naïve  cafés", "42,000 mats\n\nand 1 cat", "the mat the cat"]


def json_file(folder):
    """With everything on that a codec must switch off: padding, truncation, tokens that are added to every text."""
    own = Tokenizer(models.BPE())
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>"]
    )
    own.train_from_iterator(TEXTS * 3, trainer)
    own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    own.enable_padding(length=50)
    own.enable_truncation(3)
    own.save(str(folder / "tokenizer.json"))
    return TokenizerSettings(str(folder))


def tiktoken_file(folder):
    pytest.importorskip("tiktoken")
    tokens = [bytes([b]) for b in range(256)] + [
        b"th",
        b"the",
        b" the",
        b"at",
        b"cat",
        b" cat",
        b"mat",
        b" mat",
        b"00",
        b"000",
    ]
    lines = [base64.b64encode(token) + b" %d" % rank for rank, token in enumerate(tokens)]
    (folder / "own.tiktoken").write_bytes(b"\n".join(lines) + b"\n")
    return TokenizerSettings(str(folder / "own.tiktoken"), "tiktoken")


def sentencepiece_file(folder):
    library = pytest.importorskip("sentencepiece")
    with open(folder / "tokenizer.model", "wb") as file:
        library.SentencePieceTrainer.train(sentence_iterator=iter(TEXTS * 20), model_writer=file, vocab_size=320,
                                           model_type="bpe", byte_fallback=True, minloglevel=2)  # fmt: skip
    return TokenizerSettings(str(folder), "sentencepiece")


def fallback_file(folder):
    """As many published ones: blanks are a sign of their own, and what has no token is written as bytes."""
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁": 256, "a": 257, "b": 258, "▁a": 259, "�": 260}
    own = Tokenizer(models.BPE(vocabulary, [("▁", "a")], byte_fallback=True, fuse_unk=False))
    own.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    own.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    own.save(str(folder / "tokenizer.json"))
    return TokenizerSettings(str(folder))


FORMATS = {"json": json_file, "tiktoken": tiktoken_file, "sentencepiece": sentencepiece_file}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_text_keeps_its_codes_whoever_stands_beside_it_and_wherever_the_codec_lies(tmp_path, kind):
    (tmp_path / "from").mkdir()
    settings = FORMATS[kind](tmp_path / "from")
    assert not settings.problems("at")
    codec = PretrainedTokenizer.fit([], settings, progress=None, state=None)
    codes = codec.encode(TEXTS)
    assert all((own == codec.encode([text])[0]).all() for own, text in zip(codes, TEXTS, strict=True))
    assert max(own.max() for own in codes) < codec.codebooks[0] and all(own.dtype == np.int32 for own in codes)
    if kind != "sentencepiece":  # which normalises blanks
        assert codec.decode(codes) == TEXTS and codec.ceiling(TEXTS)["unchanged"] == 1.0
    assert codec.decode(codes)[0] == TEXTS[0]
    codec.save(tmp_path / "to")
    (tmp_path / "to" / "fitted.json").write_text("{}")  # preparation's mark
    for file in (tmp_path / "from").iterdir():
        file.unlink()
    again = registry.load(tmp_path / "to")
    assert again.fingerprint == codec.fingerprint
    assert all((a == b).all() for a, b in zip(again.encode(TEXTS), codes, strict=True))


def test_codes_are_those_of_the_libraries(tmp_path):
    own = PretrainedTokenizer(tiktoken_file(tmp_path))
    assert own.encode(["the cat"])[0].tolist() == [257, 261]
    assert own.encode(["<|endoftext|>"])[0].size == len("<|endoftext|>")  # no special token comes out of a text
    hugging_face = PretrainedTokenizer(json_file(tmp_path))
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    library.no_padding(), library.no_truncation()
    assert hugging_face.encode(TEXTS[:1])[0].tolist() == library.encode(TEXTS[0], add_special_tokens=False).ids
    assert library.encode(TEXTS[0]).ids[0] == 0 != hugging_face.encode(TEXTS[:1])[0][0]


def test_no_special_token_comes_out_of_a_text(tmp_path):
    codec = PretrainedTokenizer(json_file(tmp_path))
    (codes,) = codec.encode(["a <s> b"])
    assert codes.size == len("a <s> b") and 0 not in codes and codec.decode([codes]) == ["a <s> b"]


def test_patterns_cut_as_the_published_ones(monkeypatch):
    public = pytest.importorskip("tiktoken_ext.openai_public")
    regex = pytest.importorskip("regex")
    monkeypatch.setattr(public, "load_tiktoken_bpe", lambda *_, **__: {})
    monkeypatch.setattr(public, "data_gym_to_mergeable_bpe_ranks", lambda *_, **__: {})
    texts = [*TEXTS, "We'LL  see:\n\n  it's\t\t1234567 (x)!?\r\n \n", "  \n \n a", "日本語 text…\n", "don't 'tis I'M  "]
    for name, published in (("gpt2", public.gpt2), ("cl100k", public.cl100k_base)):
        for text in texts:
            assert regex.findall(PATTERNS[name], text) == regex.findall(published()["pat_str"], text), (name, text)


@pytest.mark.parametrize("kind", FORMATS)
def test_codes_that_a_generator_may_write_are_decoded(tmp_path, kind):
    codec = PretrainedTokenizer(FORMATS[kind](tmp_path))
    every = np.arange(codec.codebooks[0], dtype=np.int32)
    assert isinstance(codec.decode([every, every[::-1]])[1], str)


@pytest.mark.parametrize("file", [*FORMATS.values(), fallback_file])
@pytest.mark.parametrize("text", ["a bü日🍏b", "\ufffd 🍏", "bbbb"])
def test_a_text_has_its_bytes_wherever_its_codes_are_cut(tmp_path, file, text):
    codec = PretrainedTokenizer(file(tmp_path))
    (codes,) = codec.encode([text])
    whole = codec.decode([codes])[0].encode()  # SentencePiece leaves U+FFFD out
    blanks = (b"", b" ") if file in (fallback_file, sentencepiece_file) else (b"",)
    for at in range(codes.size + 1):
        first, second = codec.utf8(codes[:at]), codec.utf8(codes[at:])
        # A blank that a piece begins with is not told from the one that such a tokenizer sets before every text.
        assert whole in [first + blank + second for blank in blanks], at


def test_what_is_missing_or_damaged_is_named(tmp_path):
    assert TokenizerSettings().problems("at")[0].where == "at.path"
    assert "does not exist" in TokenizerSettings(str(tmp_path / "none")).problems("at")[0].reason
    assert TokenizerSettings(str(tmp_path), "words").problems("at")[0].where == "at.format"
    with pytest.raises(Refusal, match=r"has no tokenizer\.json"):
        PretrainedTokenizer(TokenizerSettings(str(tmp_path)))
    with pytest.raises(Refusal, match=r"has no tokenizer\.model or spiece\.model"):
        PretrainedTokenizer(TokenizerSettings(str(tmp_path), "sentencepiece"))
    for name, kind in (("tokenizer.json", "json"), ("tokenizer.tiktoken", "tiktoken")):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(Refusal, match=rf"{name}.*is no tokenizer of format {kind}"):
            PretrainedTokenizer(TokenizerSettings(str(tmp_path), kind))


def test_a_file_that_was_changed_is_refused(tmp_path):
    (tmp_path / "from").mkdir()
    PretrainedTokenizer(json_file(tmp_path / "from")).save(tmp_path / "to")
    file = tmp_path / "to" / "tokenizer.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(Refusal, match="does not belong to its codec.json"):
        registry.load(tmp_path / "to")


def test_a_text_of_which_the_model_itself_makes_a_special_token_is_refused(tmp_path):
    """Its vocabulary holds all pieces, special ones too; a text that names the unknown piece says no more than that."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((sign, -4.0) for sign in "a</s>")]
    own = Tokenizer(models.Unigram(pieces, unk_id=0))
    own.add_special_tokens(["<unk>", "</s>"])
    own.save(str(tmp_path / "tokenizer.json"))
    codec = PretrainedTokenizer(TokenizerSettings(str(tmp_path)))
    assert codec.encode(["a/s", "<unk>"])[0].tolist() == [2, 4, 5]
    with pytest.raises(Refusal, match=r"text 1 = '</s>': would become a special token"):
        codec.encode(["a", "a</s>"])


def as_before(folder):
    """A folder as the first version wrote it: neither files nor revision in its description."""
    (file,) = (own for own in folder.iterdir() if own.name != "codec.json")
    value = json.loads((folder / "codec.json").read_text())
    del value["files"], value["revision"]
    value["fingerprint"] = fingerprint(["tokenizer", value["settings"], [[file.name, file_digest(file)]]])
    (folder / "codec.json").write_text(json.dumps(value))
    return value["fingerprint"]


@pytest.mark.parametrize("kind", FORMATS)
def test_only_what_makes_other_codes_has_another_fingerprint(tmp_path, kind):
    """A codec that was saved before special tokens were kept out of texts makes the codes that it made then."""
    (tmp_path / "from").mkdir()
    codec = PretrainedTokenizer(FORMATS[kind](tmp_path / "from"))
    codec.save(tmp_path / "to")
    first = as_before(tmp_path / "to")
    assert (first == codec.fingerprint) == (kind != "json")
    again = registry.load(tmp_path / "to")
    again.save(tmp_path / "copied")
    assert again.fingerprint == registry.load(tmp_path / "copied").fingerprint == first
    if kind == "json":
        assert 0 in again.encode(["a <s> b"])[0] and 0 not in codec.encode(["a <s> b"])[0]


@pytest.mark.parametrize("before", [False, True])
def test_what_else_lies_in_the_folder_is_not_taken_for_the_tokenizer(tmp_path, before):
    (tmp_path / "from").mkdir()
    PretrainedTokenizer(json_file(tmp_path / "from")).save(tmp_path / "to")
    if before:
        as_before(tmp_path / "to")
    for other in (".DS_Store", "a.json", "tokenizer.json.tmp"):
        (tmp_path / "to" / other).write_text("{}")
    registry.load(tmp_path / "to").encode(TEXTS)


@pytest.mark.parametrize("change", [{"files": ["../tokenizer.json"]}, {"files": [".."]}, {"files": "tokenizer.json"},
                                    {"revision": 3}, {"revision": None}])  # fmt: skip
def test_a_description_that_leads_elsewhere_is_refused(tmp_path, change):
    (tmp_path / "from").mkdir()
    PretrainedTokenizer(json_file(tmp_path / "from")).save(tmp_path / "to")
    shutil.copy(tmp_path / "from/tokenizer.json", tmp_path)
    description = tmp_path / "to/codec.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | change))
    with pytest.raises(Refusal, match=rf"codec\.json: {next(iter(change))}"):
        registry.load(tmp_path / "to")
