"""What an evaluation leaves on disk: whole files, nothing twice, and one broken part costs only itself."""

import dataclasses
import json

import numpy as np
import pytest

from mdm.evaluation import document_scores, paper, parts, writers
from mdm.evaluation.folder import EvaluationFolder
from mdm.evaluation.incomplete import Incomplete
from mdm.evaluation.made_with import MadeWith
from mdm.evaluation.material import Material
from mdm.evaluation.result import Result
from mdm.evaluation.task import MEASURES, run, tasks_of
from mdm.problems import Problem, Refusal
from tests.busy import Busy
from tests.evaluation.conftest import SETTINGS, STREAMS
from tests.evaluation.test_report import result
from tests.evaluation.test_writers import SAMPLES

STAMP = {"config": "c", "weights": "ema"}


class Watched:
    """A writer that remembers."""

    def __init__(self):
        self.written = []

    def write(self, step, figures):
        self.written.append((step, dict(figures)))

    def show(self, step, samples): ...

    def close(self): ...


@pytest.fixture
def folder(tmp_path):
    folder = EvaluationFolder(tmp_path / "evaluations")
    folder.create()
    return folder


MADE = MadeWith({"weights": "ema", "orders": {"draws": 2}}, ("chrF",))


def Part(name, make, made_with=MADE):
    """Whose figures hang on nothing but `made_with`."""
    return parts.Part(name, make, lambda: made_with)


def make(folder, own, step=3, **more):
    watched = Watched()
    parts.make(folder, own, "model", step, STAMP, watched, **more)
    return watched


def test_every_line_says_what_it_is_of(folder):
    watched = make(folder, [Part("likelihood", lambda model, resume: [result("text", "text")])])
    (line,) = folder.read(3)
    found = Result.from_json(line)
    assert (found.step, found.config, found.weights) == (3, "c", "ema") and found.time.startswith("20")
    assert line["perplexity"] == 256 and folder.steps() == [3]
    ((step, figures),) = watched.written
    assert step == 3 and figures["likelihood/heldout/s/text/text/bits"] == 8.0
    assert not any("seconds" in name for name in figures)


def test_what_is_finished_is_not_made_again_unless_it_is_asked_for(folder):
    made = []
    own = [Part("likelihood", lambda model, resume: made.append(1) or [result("text", "text")])]
    for _ in range(2):
        make(folder, own)
    assert len(made) == 1
    make(folder, own, again=True)
    assert len(made) == 2


@pytest.mark.parametrize(
    "asked, why",
    [
        (MadeWith({"weights": "ema", "orders": {"draws": 8}}, ("chrF",)), "orders.draws 2, now 8"),
        (MadeWith({"weights": "parameters", "orders": {"draws": 2}}, ("chrF",)), "weights 'ema', now 'parameters'"),
        (MadeWith(MADE.settings, ("WER", "chrF")), "without WER"),
        (MADE, None),
        (MadeWith(MADE.settings), None),  # more was told than can be told here
    ],
)
def test_what_was_made_with_other_things_is_made_again_and_says_why(folder, caplog, asked, why):
    caplog.set_level("INFO")
    make(folder, [Part("orders", lambda model, resume: [result("text", "text", bits=1.0)])])
    make(folder, [Part("orders", lambda model, resume: [result("text", "text", bits=2.0)], asked)])
    (line,) = folder.read(3, "orders")
    assert line["bits"] == (2.0 if why else 1.0)
    assert ("made again" in caplog.text) == (why is not None) and (why or "") in caplog.text
    assert folder.wanting(3, "orders", asked) is None


def test_what_was_made_with_is_told_beside_the_lines(folder):
    make(folder, [Part("likelihood", lambda model, resume: [result("text", "text")])])
    (line,) = folder.read(3)
    told = json.loads((folder.path / "made-with" / f"{line['made_with']}.json").read_text())
    assert MadeWith.from_json(told) == MADE and Result.from_json(line).made_with == MADE.fingerprint
    (folder.path / "made-with" / f"{line['made_with']}.json").unlink()
    assert folder.wanting(3, "likelihood", MADE) is None
    assert "not told" in folder.wanting(3, "likelihood", MadeWith({}))


def test_a_part_of_an_earlier_version_does_not_say_and_is_kept(folder):
    folder.lines(3).write_text(json.dumps(result("text", "text").to_json() | {"made_with": None}) + "\n")
    assert folder.wanting(3, "likelihood", MADE) is None
    old = result("text", "text").to_json()
    for later in ("made_with", "checkpoint", "attention", "compute_dtype"):
        del old[later]
    assert Result.from_json(old).attention is None
    folder.lines(3).write_text(json.dumps(old) + "\n")
    assert folder.wanting(3, "likelihood", MADE) is None
    folder.lines(3).write_text("{")
    assert "is damaged" in folder.wanting(3, "likelihood", MADE)


def test_a_part_of_another_checkpoint_is_made_again_and_one_that_does_not_say_is_kept(folder, caplog):
    caplog.set_level("INFO")
    for checkpoint, bits in ((None, 1.0), ("a", 1.0), (None, 1.0), ("a", 1.0)):
        make(folder, [Part("orders", lambda *_: [result("text", "text", bits=1.0)])], checkpoint=checkpoint)
        assert folder.read(3, "orders")[0]["checkpoint"] is None and folder.read(3, "orders")[0]["bits"] == bits
    folder.lines(3, "orders").unlink()
    for checkpoint, bits in (("a", 1.0), ("a", 1.0), (None, 1.0), ("b", 2.0)):
        make(folder, [Part("orders", lambda *_, bits=bits: [result("text", "text", bits=bits)])], checkpoint=checkpoint)
        assert Result.from_json(folder.read(3, "orders")[0]).bits == bits
    assert "is made again: it is of another checkpoint of this step (a, now b)" in caplog.text


def test_a_part_that_tells_nothing_is_refused_and_not_finished(folder):
    with pytest.raises(Refusal, match="generated: there is nothing"):
        make(folder, [Part("generated", lambda model, resume: [])])
    assert not folder.finished(3, "generated")


def test_a_part_that_is_refused_costs_the_others_nothing_and_is_tried_again(folder):
    def broken(model, resume):
        raise Refusal(Problem("a.jsonl: line 1", None, "is no JSON", "mend it"))

    own = [Part("choices.a", broken), Part("likelihood", lambda model, resume: [result("text", "text")])]
    with pytest.raises(Refusal, match="line 1"):
        make(folder, own)
    assert folder.finished(3) and not folder.finished(3, "choices.a")
    own[0] = Part("choices.a", lambda model, resume: [result("text", "text")])
    make(folder, own)
    assert folder.finished(3, "choices.a")


def test_an_interrupted_likelihood_goes_on_where_it_stopped(folder, network, manifest, monkeypatch):
    material = Material(network, manifest, SETTINGS, 96, STREAMS)
    tasks = tasks_of(STREAMS, ("heldout",))
    asked, real = [], MEASURES["likelihood"]

    def measure(material, stream, task, split, parameters):
        asked.append(task)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(material, stream, task, split, parameters)

    monkeypatch.setitem(MEASURES, "likelihood", measure)

    def likelihood(made_with):
        def make(model, resume):
            progress = resume(made_with)
            return run(material, tasks, np.float32(0.5), dict(progress.kept), progress.keep)

        return [Part("likelihood", make)]

    with pytest.raises(KeyboardInterrupt):
        make(folder, likelihood("this"))
    assert len(asked) == 3 and not folder.finished(3)
    make(folder, likelihood("this"))
    assert asked[3:] == asked[2:3] + [task.task for task in tasks][3:]  # the interrupted one and those behind it
    assert [line["task"] for line in folder.read(3)] == [r.task for r in run(material, tasks, np.float32(0.5))]
    assert sorted(path.name for path in folder.path.iterdir()) == ["made-with", "step-000000003.jsonl"]


def test_what_was_made_with_something_else_is_not_gone_on_with(folder):
    folder.progress(3, "likelihood", "this").keep("a", [result("text", "text")])
    assert list(folder.progress(3, "likelihood", "this").kept) == ["a"]
    assert not folder.progress(3, "likelihood", "that").kept
    folder._progress(3, "likelihood").write_text('{"made_with": "this", "tasks": {"a": [{}]}}')
    assert not folder.progress(3, "likelihood", "this").kept  # of another version


def test_a_task_that_is_refused_does_not_keep_the_others_from_being_made(folder, network, manifest, monkeypatch):
    material, real, kept = Material(network, manifest, SETTINGS, 96, STREAMS), MEASURES["likelihood"], {}

    def measure(material, stream, task, split, parameters):
        if task == "text-to-image":
            raise Refusal(Problem("shard 1", None, "is damaged", "restore it"))
        return real(material, stream, task, split, parameters)

    monkeypatch.setitem(MEASURES, "likelihood", measure)
    with pytest.raises(Refusal, match="shard 1"):
        run(material, tasks_of(STREAMS, ("heldout",)), np.float32(0), keep=kept.__setitem__)
    assert len(kept) == 3


def test_what_could_be_made_of_a_part_is_written_and_the_rest_made_at_the_next_start(
    folder, network, manifest, monkeypatch, caplog
):
    caplog.set_level("INFO")
    material, real = Material(network, manifest, SETTINGS, 96, STREAMS), MEASURES["likelihood"]
    damaged, asked = {"text-to-image"}, []

    def measure(material, stream, task, split, parameters):
        asked.append(task)
        if task in damaged:
            raise Refusal(Problem("shard 1", None, "is damaged", "restore it"))
        return real(material, stream, task, split, parameters)

    def likelihood(model, resume):
        progress = resume("this")
        return run(material, tasks_of(STREAMS, ("heldout",)), np.float32(0), dict(progress.kept), progress.keep)

    monkeypatch.setitem(MEASURES, "likelihood", measure)
    with pytest.raises(Refusal, match="shard 1"):
        make(folder, [Part("likelihood", likelihood)])
    assert {line["task"] for line in folder.read(3)} == {"text", "joint-image-text", "speech-to-text"}
    assert "text-to-image/likelihood could not be made" in folder.wanting(3, "likelihood", MADE)
    damaged.clear()
    asked.clear()
    watched = make(folder, [Part("likelihood", likelihood)])
    assert asked == ["text-to-image"] and len(folder.read(3)) == 5 and folder.wanting(3, "likelihood", MADE) is None
    assert watched.written and "likelihood is made again: it was made with heldout/image-text" in caplog.text


def test_what_is_there_is_not_replaced_by_a_part_of_it(folder):
    make(folder, [Part("likelihood", lambda model, resume: [result("text", "text"), result("joint", "text")])])

    def incomplete(model, resume):
        raise Incomplete([Problem("shard 1", None, "is damaged", "restore it")], [result("text", "text")], ["joint"])

    with pytest.raises(Refusal, match="shard 1"):
        make(folder, [Part("likelihood", incomplete)], again=True)
    assert len(folder.read(3)) == 2 and folder.wanting(3, "likelihood", MADE) is None


def test_a_damaged_file_is_named(folder):
    folder.lines(3).write_text("{")
    with pytest.raises(Refusal, match="step-000000003.jsonl"):
        folder.read(3)


def test_a_store_that_does_not_answer_is_no_other_part_and_no_damaged_file(folder, monkeypatch):
    """What was not read is neither made again nor refused."""
    make(folder, [Part("likelihood", lambda model, resume: [result("text", "text")])])
    document_scores.write(folder.documents(3), [], {})

    def busy(*_, **__):
        raise Busy("try again later")

    lines = [result("text", "text").to_json()]
    for name, asks in (
        ("exists", [lambda: folder.finished(3), lambda: folder.steps(), lambda: folder.read(3),
                    lambda: folder.progress(3, "likelihood", "this")]),
        ("read_bytes", [lambda: folder.read(3), lambda: folder.wanting(3, "likelihood", MADE),
                        lambda: document_scores.read(folder.documents(3)),
                        lambda: document_scores.write(folder.documents(3), [], {})]),
        ("write_text", [lambda: folder.write(4, "likelihood", lines, MADE), lambda: folder.write_table(""),
                        lambda: document_scores.write(folder.documents(4), [], {}),
                        lambda: folder.progress(3, "likelihood", "this").keep("a", [])]),
        ("mkdir", [folder.create]),
    ):  # fmt: skip
        for ask in asks:
            with monkeypatch.context() as patch:
                patch.setattr(type(folder.path), name, busy)
                with pytest.raises(OSError, match="does not answer"):
                    ask()
    monkeypatch.setattr(type(folder.path), "read_bytes", lambda path: busy() if "made-with" in str(path) else b"{}")
    monkeypatch.setattr(folder, "read", lambda *_: [{"made_with": "another"}])
    with pytest.raises(OSError, match="does not answer"):
        folder.wanting(3, "likelihood", MADE)


def test_the_table_of_a_paper():
    orders = {"what": "chain-rule", "order": "random", "mixture_bits": 7.5}
    results = [
        result("text-to-image", "image", bits_per_picture=512.0, condition_worth_bits=0.5),
        result("text", "text", se_data=None, bits_per_byte=2.5, **orders),
    ]
    lines = paper.table([dataclasses.replace(r, step=7, weights="ema") for r in results]).splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert "8.000 ± 0.200" in lines[2] and "512.000" in lines[2] and "8.000 ±" not in lines[3] and "7.500" in lines[3]
    assert "bits/second" not in lines[0] and lines[5].startswith("Step 7; weights ema") and "2 mask counts" in lines[5]


def test_the_curves_of_a_step_survive_a_kill_before_its_lines_are_there(folder, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    own = [Part("likelihood", lambda model, resume: [result("text", "text")])]
    watched = Watched()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            parts.make(folder, own, "model", 3, STAMP, watched)
    assert [step for step, _ in watched.written] == [3]
    assert [step for step, _ in make(folder, own).written] == [3]  # and once more, which shows the same


@pytest.mark.parametrize("error", [OSError("No space left on device"), Busy("No space left for you")])
def test_a_writer_that_cannot_write_costs_neither_the_others_nor_the_results(folder, caplog, error):
    class Full(Watched):
        def write(self, step, figures):
            raise error

        show = write

        def close(self):
            raise error

    watched = Watched()
    watched.close = lambda: watched.written.append("closed")
    several = writers.Several([Full(), watched])
    several.show(3, SAMPLES)
    parts.make(folder, [Part("likelihood", lambda *_: [result("text", "text")])], "model", 3, STAMP, several)
    several.close()
    assert watched.written[-1] == "closed" and folder.finished(3) and caplog.text.count("No space left") == 3


def test_figures_survive_json(folder):
    for line in [result("text", "text", bits=5000.0).to_json()]:
        assert json.loads(json.dumps(line, allow_nan=False))["perplexity"] > 1e300
