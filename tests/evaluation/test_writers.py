"""Writers: TensorBoard and Weights & Biases get figures and samples, and what they do not take is told."""

import sys
import types

import numpy as np
import pytest

from mdm.codecs.codec import Sound
from mdm.evaluation import writers
from mdm.evaluation.watched import Sample
from mdm.problems import Refusal
from tests import event_files
from tests.busy import Busy

PICTURE = np.full((8, 8, 3), 200, np.uint8)


SOUND = Sound(np.sin(np.arange(800) / 9).astype(np.float32) / 2, 8000)


SAMPLES = [Sample("a/text", "    hello"), Sample("a/image", PICTURE), Sample("a/audio/0", SOUND)]


def test_tensorboard_gets_figures_and_samples(tmp_path):
    board = writers.TensorBoard(tmp_path / "events")
    board.write(3, {"a/bits": 1.0})
    board.show(3, SAMPLES)
    board.close()
    found = [
        (event.step, value.tag) for event in event_files.read(tmp_path / "events") for value in event.summary.value
    ]
    assert found == [(3, "a/bits"), (3, "a/text/text_summary"), (3, "a/image"), (3, "a/audio/0")]


def test_events_go_to_a_bucket_in_the_background_and_are_there_when_they_are_closed(tmp_path, monkeypatch):
    """One upload a pause, not one an event; a store that is busy costs neither an error nor an event."""
    put, busy = [], [True]

    def write_bytes(path, content):
        if busy:
            busy.pop()
            raise Busy("try again later")
        put.append((str(path), content))

    monkeypatch.setattr(type(writers.epath.Path("gs://bucket/run")), "write_bytes", write_bytes)
    board = writers.TensorBoard("gs://bucket/run/evaluations/events")
    for step in range(50):
        board.write(step, {"a/bits": 1.0})
    assert len(put) <= 1
    board._uploads.flush()
    board.close()
    assert (
        put and len(put) <= 2 and {path.rpartition("/")[0] for path, _ in put} == {"gs://bucket/run/evaluations/events"}
    )
    (tmp_path / "events.out.tfevents.0").write_bytes(put[-1][1])
    assert [event.step for event in event_files.read(tmp_path) if event.summary.value] == list(range(50))


def test_weights_and_biases_goes_on_with_its_run(tmp_path, monkeypatch):
    begun, logged = [], []
    own = types.SimpleNamespace(log=logged.append, finish=lambda: None, define_metric=lambda *names, **more: None)
    stub = types.ModuleType("wandb")
    stub.__spec__ = types.SimpleNamespace(name="wandb")
    stub.Html = stub.Image = lambda value: value
    stub.Audio = lambda samples, sample_rate: (len(samples), sample_rate)
    stub.init = lambda **settings: begun.append(settings) or own
    monkeypatch.setitem(sys.modules, "wandb", stub)
    writer = writers.Several([writers.WeightsAndBiases("project", "run-evaluation", tmp_path)])
    writer.write(3, {"a": 1.0})
    writer.show(3, [*SAMPLES, Sample("b", "<script>")])
    writer.close()
    assert begun[0]["id"] == "run-evaluation" and begun[0]["resume"] == "allow"
    assert logged[0] == {"a": 1.0, "checkpoint": 3}
    assert logged[1] == {"a/text": "<pre>    hello</pre>", "a/image": PICTURE, "a/audio/0": (800, 8000),
                         "b": "<pre>&lt;script&gt;</pre>", "checkpoint": 3}  # fmt: skip


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(writers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"mdm\[wandb\]"):
        writers.WeightsAndBiases("project", "name", tmp_path)


def test_a_run_that_cannot_be_begun_is_refused_with_what_helps(tmp_path, monkeypatch):
    def init(**_):
        raise Busy("api_key not configured")

    stub = types.ModuleType("wandb")
    stub.__spec__ = types.SimpleNamespace(name="wandb")
    stub.init = init
    monkeypatch.setitem(sys.modules, "wandb", stub)
    with pytest.raises(Refusal, match=r"--wandb = 'project': no run can be begun \(api_key .*wandb login"):
        writers.WeightsAndBiases("project", "name", tmp_path)
