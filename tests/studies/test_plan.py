"""A study is refused as a whole, with everything that is wrong; a trial is named by what decides its figures."""

import dataclasses

import pytest

from mdm.problems import Refusal
from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.curve import Curve
from mdm.studies.analyses.power_fit import PowerFit
from mdm.studies.analyses.scaling_fit import ScalingFit
from mdm.studies.plan import plan
from mdm.studies.study import Axis, Search
from tests.studies.conftest import tiny_study
from tests.tiny import tiny_config


def refused(study, work, base=None):
    with pytest.raises(Refusal) as refusal:
        plan(study, base or tiny_config(), work)
    return [str(problem) for problem in refusal.value.problems]


def test_trials_are_the_product_of_axes_and_seeds(work):
    trials = plan(tiny_study(), tiny_config(), work)
    assert len(trials) == 12 and len({trial.id for trial in trials}) == 12
    assert trials[0].levels == {"width": "16", "rate": "0.001", "seed": "0"}
    assert trials[1].levels == {"width": "16", "rate": "0.001", "seed": "1"}
    last = trials[-1].config
    assert (last["model"]["width"], last["optimizer"]["learning_rate"], last["training"]["seed"]) == (32, 0.1, 1)


def test_a_level_may_change_several_settings_and_common_ones_stand(work):
    axis = Axis(
        "size", {"small": {"model.width": 32, "model.depth": 2}, "large": {"model.width": 64, "model.depth": 3}}
    )
    study = tiny_study(
        axes=(axis,), overrides={"optimizer.beta1": 0.8}, seeds=(3,), seeded=("training.seed", "data.seed")
    )
    config = plan(study, tiny_config(), work)[1].config
    assert (config["model"]["width"], config["model"]["depth"], config["optimizer"]["beta1"]) == (64, 3, 0.8)
    assert config["training"]["seed"] == config["data"]["seed"] == 3


def test_new_levels_leave_the_names_of_the_old_trials(work):
    before = {trial.id for trial in plan(tiny_study(), tiny_config(), work)}
    axes = (tiny_study().axes[0], Axis.of("rate", "optimizer.learning_rate", (1.0, 1e-3, 1e-2, 1e-1)))
    after = {trial.id for trial in plan(tiny_study(axes=axes, seeds=(0, 1, 2)), tiny_config(), work)}
    assert before < after and len(after) == 24


def test_a_name_knows_every_setting_but_where_things_lie(work):
    one = lambda base, **changes: plan(tiny_study(**changes), base, work)[0].id  # noqa: E731
    name = one(tiny_config())
    assert one(tiny_config("/elsewhere")) == name
    assert one(tiny_config(), overrides={"optimizer.beta1": 0.5}) != name
    assert one(tiny_config(), overrides={"data.seed": 1}) != name


def test_data_sets_may_be_an_axis(work):
    axis = Axis("codec", {"a": {"data.directory": "/a"}, "b": {"data.directory": "/b"}})
    assert len(plan(tiny_study(axes=(axis,)), tiny_config(), work)) == 4


@pytest.mark.parametrize("keep", [lambda levels: levels["width"] == "16", [{"width": "16"}]])
def test_a_part_of_the_product_may_be_kept(work, keep):
    assert [trial.levels["width"] for trial in plan(tiny_study(keep=keep), tiny_config(), work)] == ["16"] * 6


def test_everything_that_is_wrong_is_told_at_once(work):
    told = "\n".join(refused(tiny_study(
        question=" ", seeds=(1, 1), overrides={"model.widht": 3}, metrics=(),
        axes=(Axis("empty", {}), Axis("seed", {"a": {}}), Axis("depth", {"1": {"training.seed": 1}})), keep=[{"colour": "red"}],
    ), work))  # fmt: skip
    for text in ("question", "seeds = (1, 1)", "did you mean model.width", "metrics: there is none", "axes.empty: has no levels",
                 "axes.seed: the name is taken", "also set by the axis 'seed'", "'colour': is not an axis"):  # fmt: skip
        assert text in told, text


def test_trials_metrics_and_analyses_are_told_at_once(work):
    told = "\n".join(refused(tiny_study(
        axes=(
            Axis.of("rate", "optimizer.learning_rte", (1.0, 2.0)),
            Axis("width", {"16": {"model.width": 16}, "bad": {"model.width": -1}}),
        ),
    ), work))  # fmt: skip
    assert "did you mean optimizer.learning_rate" in told
    told = "\n".join(refused(tiny_study(
        axes=(Axis("width", {"16": {"model.width": 16}, "same": {"model.width": 16}}),
              Axis.of("rate", "optimizer.learning_rate", (1.0, 2.0))),
        metrics=("heldout_bts",),
        analyses=(
            BestSetting("a", x="rate", y="heldout_bits", by="width"), Curve("b", x="rat", y="heldout_bits"),
            Curve("c", x="rate", y="heldout_bits/smell", by=("colour",)), PowerFit("d", x="width", y="heldout_bits"),
            ScalingFit("e", y="heldout_bits"), PowerFit("f", x="rate", y="heldout_bits"),
        ),
    ), work))  # fmt: skip
    for text in (
        "has the same settings as", "did you mean heldout_bits?", "analyses[0] = ['1', '2']: 2 levels of rate",
        "did you mean rate?", "heldout_bits/smell", "'colour': is not an axis", "'width same': is not a number",
        "analyses[4]: 4 trials beside seeds", "analyses[5]: 2 values of rate",
    ):  # fmt: skip
        assert text in told, (text, told)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"keep": lambda level: level["widht"] == "16"}, "KeyError('widht')) — the axes are width, rate, seed"),
        ({"axes": (Axis("width", {"16": 16}),)}, "axes.width.16 = 16: the settings of a level are not a mapping"),
        ({"axes": (Axis("width", {16: {"model.width": 16}}),)}, "a label of type int is no text — write '16'"),
        ({"axes": (Axis("width", (16, 32)),)}, "its levels are not a mapping"),
    ],
)
def test_axes_that_are_none_are_refused(work, changes, told):
    assert told.split(" — ")[-1] in refused(tiny_study(**changes), work)[0]
    assert told.split(" — ")[0] in refused(tiny_study(**changes), work)[0]


def test_values_of_an_axis_are_not_merged(work):
    assert tuple(Axis.of("rate", "x", (1.0, 0.1)).levels) == ("1", "0.1")
    assert tuple(Axis.of("rate", "x", (1.0000001, 1.0000002)).levels) == ("1.0000001", "1.0000002")
    with pytest.raises(Refusal, match="twice"):
        Axis.of("rate", "x", (0.5, 0.5))


def test_a_level_without_a_logarithm_is_told(work):
    own = {"axes": (Axis.of("decay", "optimizer.weight_decay", (0.0, 0.1, 0.2)),)}
    for analysis in (BestSetting("a", x="decay", y="heldout_bits"), Curve("b", x="decay", y="heldout_bits")):
        assert "'decay 0': has no logarithm" in refused(tiny_study(**own, analyses=(analysis,)), work)[0]
    plan(tiny_study(**own, analyses=(Curve("b", x="decay", y="heldout_bits", log_x=False),)), tiny_config(), work)


def test_an_axis_may_set_what_a_group_is_free_to_hold(work):
    own = tiny_study(axes=(Axis.of("schedule of text", "corruption.schedules.text", ("linear", "cosine")),), seeds=(0,))
    assert [t.config["corruption"]["schedules"] for t in plan(own, tiny_config(), work)] == [
        {"text": "linear"},
        {"text": "cosine"},
    ]
    weights = tiny_study(axes=(Axis.of("weight", "objective.loss_weights.image", (1.0, 2.0)),))
    assert len({trial.id for trial in plan(weights, tiny_config(), work)}) == 4
    wrong = tiny_study(axes=(Axis.of("schedule", "corruption.schedules.txt", ("linear",)),))
    assert "is not a task" in refused(wrong, work)[0]


def test_a_problem_of_the_base_is_told_once(work):
    base = tiny_config()
    base["model"]["depth"] = -1
    assert sum("model.depth" in text for text in refused(tiny_study(), work, base)) == 1


def test_nothing_kept_is_refused(work):
    assert "no trial is left" in refused(tiny_study(keep=lambda levels: False), work)[0]


def test_a_search_is_checked(work):
    search = Search("search", {"optimizer.beta3": (1.0, 2.0), "optimizer.epsilon": (0.0, 1.0)}, 0, "los")
    told = "\n".join(refused(tiny_study(search=search), work))
    for text in ("search.trials", "no range of positive", "optimizer.beta3", "search.metric"):
        assert text in told
    away = Search("search", {"optimizer.learning_rate": (1e-9, 1e-8)}, 4, "heldout_bits")
    assert "does not hold the base's own" in refused(tiny_study(axes=(), search=away), work)[0]


def test_a_probe_is_part_of_a_trial(work):
    without, with_probe = (plan(tiny_study(probes=probes), tiny_config(), work) for probes in ((), ("gradient-noise",)))
    assert not {trial.id for trial in without} & {trial.id for trial in with_probe}
    assert "'noise': is not a probe" in refused(tiny_study(probes=("noise",)), work)[0]
    study = tiny_study(metrics=("gradient_noise/plain",))
    assert "is not a figure" in refused(study, work)[0]
    plan(dataclasses.replace(study, probes=("gradient-noise",)), tiny_config(), work)
