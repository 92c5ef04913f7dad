"""What is exported is the same model, whole, and says what it is."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest

import mdm
from mdm import export
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.made_with import MadeWith
from mdm.problems import Refusal
from tests.evaluation.test_report import result
from tests.test_door import copied

SAFETENSORS = pytest.mark.skipif(importlib.util.find_spec("safetensors") is None, reason="needs the extra export")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return model.export(tmp_path_factory.mktemp("out") / "exported")


@SAFETENSORS
def test_the_export_is_whole_and_says_what_it_is(model, exported):
    from safetensors import safe_open

    with safe_open(exported / export.WEIGHTS, framework="np") as file:
        names, metadata = list(file.keys()), file.metadata()
        sizes = sum(file.get_tensor(name).size for name in names)
    assert "blocks.qkv" in names and metadata["step"] == "2" and metadata["weights"] == "ema"
    text = (exported / export.CARD).read_text()
    assert f"{sizes:,} parameters" in text and all(f"`{name}`" in text for name in names)
    assert text.startswith("---\n") and "This checkpoint has not been evaluated" in text
    assert json.loads((exported / "config.json").read_text())["model"]["width"] == 16
    assert (exported / "codecs/text/codec.json").exists()
    assert not [path for path in exported.rglob("*") if path.suffix in (".pkl", ".pt", ".tmp")]


def test_a_card_tells_of_its_own_weights_only(root, tmp_path):
    run = copied(root, tmp_path)
    own = {name: mdm.load(str(run), weights=name).trained for name in ("ema", "parameters")}
    folder = EvaluationFolder(own["ema"].folder.evaluations)
    folder.create()
    line = dataclasses.replace(result("text", "text"), step=2, weights="ema").to_json()
    folder.write(2, "likelihood", [line], MadeWith({"weights": "ema"}))
    cards = {name: export.card(model, export._flat(model)) for name, model in own.items()}
    assert "8.000 ± 0.200" in cards["ema"] and "not been evaluated" not in cards["ema"]
    assert (
        "8.000" not in cards["parameters"]
        and "not been evaluated with these weights, parameters" in cards["parameters"]
    )


@SAFETENSORS
@pytest.mark.parametrize("line", ["{", '{"a": 1}', "3"])
def test_a_damaged_evaluation_is_named_and_nothing_is_written(root, tmp_path, line):
    model = mdm.load(str(copied(root, tmp_path)))
    folder = EvaluationFolder(model.trained.folder.evaluations)
    folder.create()
    folder.lines(2).write_text(line)
    with pytest.raises(Refusal, match=r"step-000000002\.jsonl.* -> remove it"):
        model.export(tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


@SAFETENSORS
def test_an_export_overwrites_nothing(model, exported, root):
    for folder in (exported, root / "run"):
        with pytest.raises(Refusal, match="not an empty folder"):
            model.export(folder)


def test_without_the_package_the_extra_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[export\]"):
        model.export(tmp_path / "exported")


@pytest.mark.slow
@SAFETENSORS
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
def test_the_export_read_by_pytorch_gives_the_same_logits(model, exported):
    """The formula of the model card, written down in PyTorch, on what the safetensors library reads."""
    import torch
    from safetensors.torch import load_file

    own, settings = load_file(exported / export.WEIGHTS), json.loads((exported / "config.json").read_text())["model"]
    size, half = settings["head_size"], settings["head_size"] // 2
    residual = (settings["depth"] / settings["parameterization"]["base_depth"]) ** -settings["parameterization"][
        "alpha"
    ]

    def rms(x, gain):
        return x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-6) * gain

    def rotate(x, positions):
        j = torch.arange(half)
        angle = positions[:, j % 3].float() * settings["rope_base"] ** (-2 * j / size)
        cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def logits(ids, segments, positions, ranges):
        x = own["embedding"][ids] + own["range_embedding"][ranges]
        seen = (segments[:, None] == segments[None]) & (segments > 0)[None]
        for n in range(settings["depth"]):
            layer = {name.removeprefix("blocks."): t[n] for name, t in own.items() if name.startswith("blocks.")}
            h = rms(x, layer["attention_norm"])
            q, k, v = (torch.einsum("ld,dhk->lhk", h, w) for w in layer["qkv"])
            q, k = rotate(rms(q, layer["query_norm"]), positions), rotate(rms(k, layer["key_norm"]), positions)
            scores = torch.einsum("lhk,shk->hls", q, k) / size**0.5
            shares = torch.softmax(scores.masked_fill(~seen, -1e30), -1)
            x = x + residual * torch.einsum("lhk,hkd->ld", torch.einsum("hls,shk->lhk", shares, v), layer["out"])
            h = rms(x, layer["mlp_norm"])
            gate, up = (h @ w for w in layer["gate_up"])
            x = x + residual * (torch.nn.functional.silu(gate) * up) @ layer["down"]
        return rms(x, own["final_norm"]) @ own["unembedding"].T

    rng = np.random.default_rng(0)
    length = 24
    ids, segments = rng.integers(0, 257, length).astype(np.int32), np.repeat([1, 2, 0], [12, 8, 4]).astype(np.int32)
    positions = rng.integers(0, 30, (length, 3)).astype(np.int32)
    ranges = np.where(rng.random(length) < 0.8, 0, -1).astype(np.int8)
    denoiser = model.trained.network.bind(model.trained.parameters)
    hidden = denoiser.hidden(*(array[None] for array in (ids, segments, positions, ranges)))
    expected = np.asarray(denoiser.logits(hidden, 0))[0]
    found = logits(*(torch.from_numpy(array.astype(np.int64)) for array in (ids, segments, positions, ranges)))
    real = segments > 0
    np.testing.assert_allclose(found.detach().numpy()[real], expected[real], rtol=1e-4, atol=1e-4)
    assert np.abs(expected).max() > 0.1
