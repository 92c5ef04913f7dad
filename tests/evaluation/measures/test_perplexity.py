"""Perplexity never comes without entropy, and is that of the model that was named."""

import importlib.util
import types

import numpy as np
import pytest

from mdm.evaluation.measures import perplexity, prose
from mdm.problems import Refusal


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[perplexity\]"):
        perplexity.under(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(Refusal, match=r"config.json.*causal language model"):
        perplexity.under(str(tmp_path))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with all the files of a model, and packages that read it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(perplexity, "_load", lambda folder: (None, None))
    monkeypatch.setattr(perplexity, "_nats", lambda text, tokenizer, model: np.full(len(text.split()), 2.0))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_weights_that_are_not_there_are_named_at_once(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(Refusal, match=r"model\.safetensors: is missing.*another format"):
        perplexity.under(str(folder))
    index = folder / "model.safetensors.index.json"
    for written, told in (('{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}', r"2\.safetensors: is missing"),
                          ("{", r"index\.json: cannot be read"), ("[" * 100_000, r"index\.json: cannot be read")):  # fmt: skip
        index.write_text(written)
        (folder / "1.safetensors").write_bytes(b"weights")
        with pytest.raises(Refusal, match=told):
            perplexity.under(str(folder))


@pytest.mark.parametrize("broken", ["_load", "_nats"])
def test_a_model_that_cannot_be_read_or_run_is_refused_before_anything_is_made(folder, monkeypatch, broken):
    def fails(*_):
        raise OSError("no tokenizer")

    monkeypatch.setattr(perplexity, broken, fails)
    with pytest.raises(Refusal, match=r"cannot be used as a causal language model \(OSError: no tokenizer\)"):
        perplexity.under(str(folder))


def test_it_is_tried_on_a_text_of_the_greatest_length(folder, monkeypatch):
    tried = []
    monkeypatch.setattr(perplexity, "_nats", lambda text, *_: tried.append(text) or np.ones(1))
    perplexity.under(str(folder))
    assert len(tried[0].split()) > 512


def test_the_model_and_its_packages_are_told(folder):
    one = perplexity.under(str(folder))
    assert one.packages == ("torch", "transformers")
    ((name, digest),) = one.digests
    (folder / "model.safetensors").write_bytes(b"others")
    assert name == f"language model {folder.name}" and perplexity.under(str(folder)).digests != one.digests
    assert len(digest) == 16 and hash(one)  # originals are scored once a measure


@pytest.mark.parametrize(
    "config, most", [({}, 512), ({"max_position_embeddings": 40}, 40), ({"n_positions": 2048}, 512)]
)
def test_a_text_is_cut_to_the_positions_of_the_model(config, most):
    class Tokenizer:
        bos_token_id = 9

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [1] * len(text)}

    own, other = Tokenizer(), Tokenizer()
    other.bos_token_id = None
    config = types.SimpleNamespace(**config)
    assert perplexity._ids("x" * 600, own, config) == [9, *[1] * (most - 1)]
    assert perplexity._ids("x" * 600, other, config) == [1] * most and perplexity._ids("xy", own, config) == [9, 1, 1]


def test_entropy_stands_before_perplexity(folder):
    measure = perplexity.under(str(folder))
    assert measure.figures[0] == prose.entropy(50) and folder.name in measure.figures[1].name
    made = [{"text": " ".join(["again"] * 50)}] * 2
    entropy, found = measure.score(made, [{"text": " ".join(map(str, range(50)))}] * 2)
    assert entropy.value == 0  # what repeats itself betrays itself
    assert found.value == pytest.approx(7.389, abs=1e-3) and found.error == 0


def test_texts_stand_beside_originals_of_their_own_lengths(folder, monkeypatch):
    """The later a token the less it costs: short texts of the very same kind would seem worse than the whole originals."""
    asked = []
    monkeypatch.setattr(
        perplexity, "_nats", lambda text, *_: asked.append(text) or 3.0 / (1 + np.arange(len(text.split())))
    )
    measure = perplexity.under(str(folder))
    texts = [[{"text": "a " * n} for n in own] for own in ((5, 40, 20), (10, 10, 30))]
    asked.clear()
    for made, originals in (texts, texts[::-1]):
        found = measure.score(made, originals)[1]
        assert measure.beside(originals, originals, made)[1] == found
        assert found.value == pytest.approx(np.exp(3 * sum((1 / (1 + np.arange(n))).sum() for n in (5, 10, 20)) / 35))
    assert len(asked) == 5  # texts that came before are not scored again


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary():
    torch = pytest.importorskip("torch")

    class Tokenizer:
        bos_token_id = 0

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [1 + ord(c) % 30 for c in text]}

    class Model:
        config = types.SimpleNamespace()

        def __call__(self, ids):
            return type("Output", (), {"logits": torch.zeros(*ids.shape, 32)})

    nats = [perplexity._nats(text, Tokenizer(), Model()) for text in ("abc", "", "defgh")]
    assert [own.size for own in nats] == [3, 0, 5]
    assert perplexity.perplexity(nats).value == pytest.approx(32)
    assert perplexity.perplexity(nats[1:2]).value is None
