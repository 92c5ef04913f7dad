"""Export: the weights of a checkpoint as safetensors, with all that another program needs to use them, and a model card.

FOLDER/model.safetensors   every parameter under its name in the tree, float32, as it is trained: layers stacked
FOLDER/config.json         settings of the run; vocabulary.json, spans.json, codecs/: as in the run folder
FOLDER/README.md           the model card: what the model is, what it was trained on, how good it is, and its formula
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
from flax import traverse_util

from mdm import atomic, config
from mdm.codecs.storage import DESCRIPTION
from mdm.evaluation import paper
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.result import Result, versions
from mdm.model.parameterization import residual_multiplier
from mdm.model.transformer import NORM_EPSILON
from mdm.problems import Problem, Refusal
from mdm.runs import log
from mdm.runs.folder import RunFolder
from mdm.tokens.vocabulary import MASK, PAD
from mdm.trained import TrainedModel

WEIGHTS, CARD = "model.safetensors", "README.md"


def write(model: TrainedModel, folder: Path) -> Path:
    """Writes the export and returns its folder. Raises Refusal without the extra, for a folder that is not empty, and for damaged
    results of an evaluation, before anything is written."""
    if importlib.util.find_spec("safetensors") is None:
        raise Refusal(Problem("export", None, "the package safetensors is not installed", "pip install 'mdm[export]'"))
    import safetensors.numpy

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refusal(Problem(str(folder), None, "is not an empty folder", "name a new one"))
    tensors = _flat(model)
    described = card(model, tensors)  # reads what may be damaged: before anything is written
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(Problem(str(folder), None, f"cannot be made ({error})", "name another one")) from error
    target = RunFolder(folder)
    target.write_json(target.config, config.to_dict(model.settings))
    target.write_json(target.vocabulary, model.network.vocabulary.to_json())
    target.write_json(target.spans, config.to_dict(model.spans))
    target.copy_codecs(model.folder.codecs, last=DESCRIPTION)
    facts = {"format": "pt", "step": str(model.step), "weights": model.weights, "config": model.fingerprint}
    with atomic.replacing(folder / WEIGHTS) as temporary:
        safetensors.numpy.save_file(tensors, temporary, metadata={**facts, **versions()})
    atomic.write_text(folder / CARD, described)
    return folder


def _flat(model: TrainedModel) -> dict[str, np.ndarray]:
    flat = traverse_util.flatten_dict(model.parameters, sep=".")
    return {name: np.ascontiguousarray(jax.device_get(array), np.float32) for name, array in flat.items()}


def card(model: TrainedModel, tensors: dict[str, np.ndarray]) -> str:
    """The model card, Markdown."""
    settings, vocabulary = model.settings, model.network.vocabulary
    axes = traverse_util.flatten_dict(model.network.annotations("axes"), sep=".")
    lines = log.read(model.folder)
    trained = [line for line in lines if line["step"] <= model.step]
    size = sum(array.size for array in tensors.values())
    evaluated = EvaluationFolder(model.folder.evaluations).read_as(Result.from_json, model.step)
    results = [result for result in evaluated if result.weights == model.weights]
    rows = {
        "parameters": f"{size:,}",
        "width x depth": f"{settings.model.width} x {settings.model.depth}",
        "checkpoint": f"step {model.step}, {model.weights}",
        "tokens seen": f"{trained[-1]['tokens']:,.0f}" if trained else "not logged",
        "row length": str(settings.data.row_length),
        "tasks": ", ".join(model.spans),
        "codecs": ", ".join(f"{modality} ({codec.kind})" for modality, codec in model.codecs.items()),
        "config": model.fingerprint,
    }
    streams = [f"- {name}: {', '.join(stream.tasks)}" for name, stream in settings.data.streams.items()]
    ranges = [f"| {r.name} | {r.start} | {r.stop} | {'' if r.end is None else r.end} |" for r in vocabulary.ranges]
    shapes = [
        f"| `{name}` | {' x '.join(map(str, array.shape))} | {', '.join(axis or '-' for axis in axes[name])} |"
        for name, array in tensors.items()
    ]
    return _CARD.format(
        title=f"Masked diffusion model, {size:,} parameters, step {model.step}",
        facts="\n".join(f"| {name} | {value} |" for name, value in rows.items()),
        streams="\n".join(streams),
        table=paper.table(results)
        if results
        else f"This checkpoint has not been evaluated with these weights, {model.weights}.\n",
        ranges="\n".join(ranges),
        shapes="\n".join(shapes),
        weights=WEIGHTS,
        mask=vocabulary.special(MASK),
        pad=vocabulary.special(PAD),
        residual=json.dumps(residual_multiplier(settings.model.parameterization, settings.model.depth)),
        epsilon=json.dumps(NORM_EPSILON),
        base=json.dumps(settings.model.rope_base),
        heads=settings.model.heads,
        head_size=settings.model.head_size,
        dtype=settings.model.compute_dtype,
    )


_CARD = """---
library_name: mdm
tags: [masked-diffusion, text, image, audio]
---
# {title}

One bidirectional transformer, pretrained by masked diffusion on one discrete token space of text, pictures and sound. It has no
safety tuning; what it makes reflects its training data.

| | |
|---|---|
{facts}

Streams and tasks that it was trained on:

{streams}

## Evaluation

{table}
## Files

`{weights}` holds the parameters, float32. `config.json` holds the settings of the run, `vocabulary.json` what each id means,
`codecs/` what turns media into codes and back, `spans.json` how long targets of free length are.

| range of ids | from | to (not included) | END |
|---|---|---|---|
{ranges}

[MASK] is {mask}, [PAD] is {pad}; special ids follow the ranges in the order of `vocabulary.json`.

| tensor | shape | dims |
|---|---|---|
{shapes}

## Formula

With ids, ranges (number of the output range that a position is predicted in; -1, the last row, for special ids), positions
(time, row, column) and segments (0 is padding), all of them by position:

    rms(x, g)  = x / sqrt(mean(x^2) + {epsilon}) * g
    x          = embedding[ids] + range_embedding[ranges]
    for each layer:
      h        = rms(x, attention_norm)
      q, k, v  = h qkv[0], h qkv[1], h qkv[2]           {heads} heads of {head_size}
      q, k     = rotate(rms(q, query_norm)), rotate(rms(k, key_norm))
      a        = softmax(q k^T / sqrt({head_size})) v   over the positions of the same segment
      x        = x + {residual} a out
      h        = rms(x, mlp_norm)
      x        = x + {residual} (silu(h gate_up[0]) * (h gate_up[1])) down
    logits     = rms(x, final_norm) unembedding[from:to]^T   of one range of ids

rotate turns the pair (j, j + {head_size}/2) of a head by positions[j mod 3] * {base}^(-2j/{head_size}).
The run computed in {dtype}.
"""
