"""Perplexity never comes without entropy, and is that of the model that was named."""

import importlib.util

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


def test_entropy_stands_before_perplexity(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(perplexity, "_load", lambda folder: (None, None))
    monkeypatch.setattr(
        perplexity, "_nats", lambda text, tokenizer, model: (2.0 * len(text.split()), len(text.split()))
    )
    (tmp_path / "config.json").write_text("{}")
    measure = perplexity.under(str(tmp_path))
    assert measure.figures[0] == prose.entropy(50) and tmp_path.name in measure.figures[1].name
    made = [{"text": " ".join(["again"] * 50)}] * 2
    entropy, found = measure.score(made, [{"text": " ".join(map(str, range(50)))}] * 2)
    assert entropy.value == 0  # what repeats itself betrays itself
    assert found.value == pytest.approx(7.389, abs=1e-3) and found.error == 0


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary():
    torch = pytest.importorskip("torch")

    class Tokenizer:
        bos_token_id = 0

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [1 + ord(c) % 30 for c in text]}

    class Model:
        def __call__(self, ids):
            return type("Output", (), {"logits": torch.zeros(*ids.shape, 32)})

    found = perplexity.perplexity(["abc", "", "defgh"], Tokenizer(), Model())
    assert found.value == pytest.approx(32)
    assert perplexity.perplexity([""], Tokenizer(), Model()).value is None
