"""Perplexity of made text under a language model that the user names.

A low value alone says nothing: text that repeats itself has one. So the figure comes with the entropy of the same texts, in one
measure, and cannot be had without it. Nor do texts of other lengths compare, since each token is told from those before it: what
was made and its original are looked at up to the length of the shorter, and what stands beside them too.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdm.evaluation.measures import prose
from mdm.evaluation.measures.measure import ALIKE, Counts, Documents, Figure, Measure, Score
from mdm.fingerprint import file_digest, fingerprint
from mdm.problems import Problem, Refusal, refuse_if

_NEEDED = ("torch", "transformers")
_PASSAGE = 50  # words, of the entropy
_KEPT = 4096  # texts whose nats are kept: originals are asked for at every step and for every group
_TOKENS = 512  # of a text that are looked at, at most, with the one that it begins with
_POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
)  # names of their number in configs; some have none
_TRIED = "A word. " * _TOKENS
_CONFIG, _WEIGHTS, _INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_DECIDING = (".json", ".safetensors", ".model", ".txt")


def under(folder: str) -> Measure:
    """The measure under the causal language model in a folder of Hugging Face's layout.

    It is read and tried at once, on a text of the greatest length, so that nothing is sampled for a model that cannot judge it.
    Nothing is downloaded, and no code from the folder is run. Raises Refusal, naming the extra, if a package is missing, and for
    a folder that holds no such model.
    """
    refuse_if(
        Problem("perplexity", package, "is not installed", "pip install 'mdm[perplexity]'")
        for package in _NEEDED
        if importlib.util.find_spec(package) is None
    )
    path = Path(folder)
    refuse_if(_problems(path))
    try:
        tokenizer, model = _load(folder)
        _nats(_TRIED, tokenizer, model)
    except MemoryError:
        raise
    except Exception as error:  # of transformers, tokenizers, safetensors and torch
        reason = f"cannot be used as a causal language model ({type(error).__name__}: {error})"
        raise Refusal(Problem(folder, None, reason, "name a folder that transformers reads and runs")) from error

    nats = functools.lru_cache(_KEPT)(lambda text: _nats(text, tokenizer, model))

    def beside(group: Documents, originals: Documents, made: Documents) -> list[Score]:
        own, true, others = ([nats(media["text"]) for media in documents] for documents in (group, originals, made))
        lengths = [min(len(one), len(other)) for one, other in zip(true, others, strict=True)]
        entropy = prose.entropy_score(group, originals, made, _PASSAGE)
        return [entropy, perplexity([one[:length] for one, length in zip(own, lengths, strict=True)])]

    score = lambda made, originals: beside(made, originals, made)  # noqa: E731
    figures = (prose.entropy(_PASSAGE), Figure(f"perplexity under {path.name}, a token of its own", "", ALIKE))
    digests = ((f"language model {path.name}", _digest(path)),)
    tasks = prose.PROSE.tasks
    name = f"perplexity under {folder}"
    return Measure(name, tasks, "text", figures, score, _NEEDED, slow=True, digests=digests, beside=beside)


def _problems(folder: Path) -> list[Problem]:
    """What is missing of a model's files: the list of its weights' files is believed."""
    missing = lambda path, reason: Problem(str(path), None, reason, "name a folder with a causal language model")  # noqa: E731
    if not (folder / _CONFIG).is_file():
        return [missing(folder / _CONFIG, "is missing")]
    if (folder / _WEIGHTS).is_file():
        return []
    if not (folder / _INDEX).is_file():
        return [missing(folder / _WEIGHTS, f"is missing, and so is {_INDEX}; weights in another format are not read")]
    try:
        named = set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [missing(folder / _INDEX, f"cannot be read ({error!r})")]
    return [missing(folder / name, f"is missing, but {_INDEX} names it") for name in sorted(named - _names(folder))]


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _digest(folder: Path) -> str:
    """Of all files that decide what the model says."""
    own = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _DECIDING)
    return fingerprint([[path.name, file_digest(path)] for path in own])


def perplexity(nats: Sequence[np.ndarray]) -> Score:
    """Of all tokens of all texts together, of which `nats` gives one array [N] a text; with the error of the mean nats a token
    carried over."""
    sums = np.array([(own.sum(), own.size) for own in nats], float).reshape(-1, 2)
    mean, error, _ = Counts(*sums.T).score()
    if mean is None:
        return Score(None)
    value = math.exp(mean)
    return Score(value, None if error is None else value * error)


def _nats(text: str, tokenizer: Any, model: Any) -> np.ndarray:
    """float64 [N], of each token of a text, told from those before it: of all tokens, if the model has one to begin with, else of
    all but the first."""
    import torch

    ids = _ids(text, tokenizer, model.config)
    if len(ids) < 2:
        return np.zeros(0)
    ids = torch.tensor([ids])
    with torch.inference_mode():
        logits = model(ids).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none").double().numpy()


def _ids(text: str, tokenizer: Any, config: Any) -> list[int]:
    """The first tokens of a text behind the one to begin with, if there is one: as many as are scored and there are positions."""
    positions = [getattr(config, name, None) for name in _POSITIONS]
    most = min([_TOKENS, *(own for own in positions if isinstance(own, int) and own > 0)])
    first = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [*first, *tokenizer(text, add_special_tokens=False)["input_ids"]][:most]


def _load(folder: str) -> tuple[Any, Any]:
    import transformers

    options = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **options)
    return tokenizer, model.eval()
