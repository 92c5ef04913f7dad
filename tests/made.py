"""A run folder without a run: a tiny network of bytes with random parameters, and the data set that it might have seen."""

import json
from pathlib import Path

import jax
import numpy as np

from mdm import config
from mdm.codecs.text_bytes import Bytes
from mdm.data import manifest, shards
from mdm.data.manifest import SPLITS, Manifest, Stream
from mdm.data.spans import span_lengths
from mdm.model.network import Network
from mdm.runs.checkpoint import Checkpoints, CheckpointSettings
from mdm.runs.folder import RunFolder
from mdm.tokens.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of({"text": (256,)})
ROW = 128


def data_set(directory: Path, documents: int = 12) -> Manifest:
    """Lines of letters, `documents` to train on and half as many held out."""
    directory.mkdir(parents=True)
    rng = np.random.default_rng(0)
    own = {}
    for split, count in zip(SPLITS, (documents, documents // 2), strict=True):
        codes = [rng.integers(97, 123, rng.integers(5, 40)).astype(np.int32) for _ in range(count)]
        named = [(f"{split}/{number}", {"text": document}) for number, document in enumerate(codes)]
        own[split] = (shards.write(directory, shards.file_name(split, 0, 1), named, 0),)
    made = Manifest(
        directory, VOCABULARY, {}, {"text": Stream("text", ("text",), own, {s: {} for s in SPLITS})}, "made"
    )
    made.save()
    Bytes().save(directory / "codecs" / "text")
    return made


def settings(directory: Path, **model) -> config.Settings:
    c = config.base()
    c.data.directory = str(directory)
    c.data.row_length = ROW
    c.data.streams = {"text": config.stream({"text": 1.0})}
    c.data.stages = [config.stage(text=1)]
    shape = {"width": 16, "depth": 1, "head_size": 8, "hidden": 32, "head_chunk": 64, "unembedding_std": 0.5}
    c.model.update(shape | model)
    c.training.update({"batch_size": 4, "tokens": 4 * ROW})
    c.evaluation.update({"documents": 4, "samples": 1, "batch_rows": 3})
    return config.from_dict(c.to_dict(), "made")


def run(root: Path, steps=(1, 2), seed: int = 0, **model) -> RunFolder:
    """`root`/run over the data set `root`/set; the parameters of step n are those of `seed` + n, and a tenth more in the EMA."""
    data = data_set(root / "set") if not (root / "set").exists() else manifest.load(root / "set")
    own = settings(root / "set", **model)
    folder = RunFolder(root / "run")
    folder.create()
    folder.write_json(folder.config, config.to_dict(own))
    folder.write_json(folder.vocabulary, VOCABULARY.to_json())
    Bytes().save(Path(folder.codecs) / "text")
    folder.write_json(folder.spans, config.to_dict(span_lengths(data, {"text": ("text",)})))
    network = Network(own.model, VOCABULARY)
    with Checkpoints(folder.checkpoints, CheckpointSettings(every=1, latest=10)) as checkpoints:
        for step in steps:
            parameters = network.initial_parameters(seed + step)
            ema = jax.tree.map(lambda leaf: leaf * 1.1, parameters)
            checkpoints.save(step, {"parameters": parameters, "ema": ema, "rows": np.uint32(step)}, {"row": step})
    return folder


def questions(root: Path) -> None:
    """Files of multiple choice: `good.jsonl`, and `bad.jsonl` whose second line is none."""
    good = json.dumps({"context": "abc", "choices": ["d", "e"], "answer": 0})
    (root / "good.jsonl").write_text(f"{good}\n")
    (root / "bad.jsonl").write_text(f"{good}\n{{}}\n")
