"""The work of studies about samplers, with a maker and measures that are told what to say."""

import numpy as np
import pytest

from mdm.evaluation.generated import Generated
from mdm.problems import Refusal
from mdm.sampling import programs
from mdm.sampling.defaults import DEFAULTS
from mdm.sampling.settings import SamplerSettings
from mdm.sampling.steps import Calls
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import plan
from mdm.studies.sampling import COUNTS, Counted, Sampled, Sampling, SamplingSettings
from mdm.studies.study import Axis, Study
from mdm.studies.trial import perform
from mdm.studies.work import SAMPLING

TASK = "image-to-text"


def base(**changes) -> dict:
    own = SamplingSettings("here", 12, TASK, sampler=DEFAULTS[TASK])
    return Sampling(str, None).to_dict(own) | changes


def study(**changes) -> Study:
    return Study(**{
        "title": "Samplers", "question": "Which?", "expectation": "None.", "base": base, "work": SAMPLING,
        "axes": (Axis.of("steps", "sampler.steps", (4, 8)),), "seeds": (0, 100), "seeded": ("seed",),
        "metrics": ("text/chrF", "network_calls"),
    } | changes)  # fmt: skip


def figure(split, value) -> Generated:
    return Generated(
        split=split, task=TASK, modality="text", what="chrF", unit="", better="more", documents=2, model=value, se_data=0.5,
        codec=1.0, original=1.0, chance=None, sampler={}, seeds=(0, 1), seconds=1.0, versions={}, device="cpu",
    )  # fmt: skip


def test_a_trial_samples_with_its_settings_and_has_the_figures_of_its_split(tmp_path):
    asked = []

    def sample(settings):
        asked.append(settings)
        return Sampled([figure("heldout", 20.0 + settings.sampler.steps), figure("train", 1.0)], 7, 2, 3.0)

    work, folder = Sampling(str, sample), StudyFolder(tmp_path)
    trials = plan(study(), base(), work)
    for trial in trials:
        perform(trial, folder, work, "abc")
    assert [(own.sampler.steps, own.seed) for own in asked] == [(4, 0), (4, 100), (8, 0), (8, 100)]
    rows = folder.finished(trials)
    assert [row.value("text/chrF") for row in rows] == [24.0, 24.0, 28.0, 28.0]
    assert rows[0].metrics["text/chrF error"] == 0.5 and rows[0].metrics["text/same words"] is None
    assert [rows[0].metrics[name] for name in COUNTS] == [7.0, 2.0, 3.0]
    assert set(rows[0].metrics) == work.names(work.resolve(base()), ())


def test_a_run_is_known_by_what_it_is_not_by_where_it_lies():
    names = [
        plan(study(), base(run=run), Sampling(mark, None))[0].id
        for run, mark in (("here", lambda _: "a"), ("there", lambda _: "a"), ("here", lambda _: "b"))
    ]
    assert names[0] == names[1] != names[2]


def test_everything_that_is_wrong_is_told():
    with pytest.raises(Refusal) as refusal:
        plan(study(), base(task="sing", split="test", documents=1), Sampling(str, None))
    assert {problem.where for problem in refusal.value.problems} == {"task", "split", "documents"}
    with pytest.raises(Refusal, match="did you mean seed"):
        Sampling(str, None).resolve(base(sed=3))
    axis = Axis.of("steps", "sampler.steps", (0,))
    with pytest.raises(Refusal, match="sampler.steps"):
        plan(study(axes=(axis,)), base(), Sampling(str, None))


def test_calls_are_counted_over_all_batches():
    class Maker:
        step = 12

        def generate(self, requests, sampler, seeds):
            calls = Calls(np.int32(3), np.int32(1))
            return programs.Sampled(list(requests), [], sampler, calls, compiling=9.0, seconds=0.5)

    counted = Counted(Maker())
    for _ in range(2):
        assert counted.generate(["a"], SamplerSettings(), [0]).documents == ["a"]
    assert (counted.network_calls, counted.part_calls, counted.step, counted.seconds) == (6, 2, 12, 1.0)
