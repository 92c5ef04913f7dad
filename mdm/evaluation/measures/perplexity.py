"""Perplexity of made text under a language model that the user names.

A low value alone says nothing: text that repeats itself has one. So the figure comes with the entropy of the same texts, in one
measure, and cannot be had without it.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

from mdm.evaluation.measures import prose
from mdm.evaluation.measures.measure import ALIKE, Counts, Documents, Figure, Measure, Score
from mdm.problems import Problem, Refusal, refuse_if

_NEEDED = ("torch", "transformers")
_PASSAGE = 50  # words, of the entropy
_TOKENS = 512  # of a text that are scored, at most


def under(folder: str) -> Measure:
    """The measure under the causal language model in a folder of Hugging Face's layout, which is read when it is first used.

    Nothing is downloaded, and no code from the folder is run. Raises Refusal, naming the extra, if a package is missing, and for
    a folder that holds no such model.
    """
    refuse_if(
        Problem("perplexity", package, "is not installed", "pip install 'mdm[perplexity]'")
        for package in _NEEDED
        if importlib.util.find_spec(package) is None
    )
    described = Path(folder) / "config.json"
    if not described.is_file():
        raise Refusal(Problem(str(described), None, "is missing", "name a folder with a causal language model"))
    loaded = functools.cache(lambda: _load(folder))

    def score(made: Documents, originals: Documents) -> list[Score]:
        tokenizer, model = loaded()
        return [prose.entropy_score(made, originals, _PASSAGE), perplexity([m["text"] for m in made], tokenizer, model)]

    figures = (prose.entropy(_PASSAGE), Figure(f"perplexity under {Path(folder).name}, a token of its own", "", ALIKE))
    return Measure(f"perplexity under {folder}", prose.PROSE.tasks, "text", figures, score, slow=True)


def perplexity(texts: list[str], tokenizer: Any, model: Any) -> Score:
    """Of all tokens of all texts together, with the error of the mean nats a token carried over."""
    nats = np.array([_nats(text, tokenizer, model) for text in texts]).reshape(-1, 2)
    mean, error, _ = Counts(*nats.T).score()
    if mean is None:
        return Score(None)
    value = math.exp(mean)
    return Score(value, None if error is None else value * error)


def _nats(text: str, tokenizer: Any, model: Any) -> tuple[float, int]:
    """Of a text, and of how many tokens: all, if the model has a token to begin with, else all but the first."""
    import torch

    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:_TOKENS]
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id, *ids]
    if len(ids) < 2:
        return 0.0, 0
    ids = torch.tensor([ids])
    with torch.inference_mode():
        logits = model(ids).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")), ids.shape[1] - 1


def _load(folder: str) -> tuple[Any, Any]:
    import transformers

    options = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **options)
    return tokenizer, model.eval()
