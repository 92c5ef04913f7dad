import itertools

from mdm.tokens.tasks import TASK_NAMES, TASKS


def test_names_and_order():
    assert tuple(TASKS) == TASK_NAMES
    assert all(task.name == name for name, task in TASKS.items())


def test_every_task_has_a_target_and_each_modality_once():
    for task in TASKS.values():
        assert task.targets
        assert len(task.spans) == len(task.modalities)
        assert set(task.targets) | set(task.conditions) == task.modalities
        assert not set(task.targets) & set(task.conditions)


def test_both_directions_and_joint_exist_for_every_pair():
    for a, b in (("text", "image"), ("text", "audio")):
        kinds = {(t.conditions, frozenset(t.targets)) for t in TASKS.values() if t.modalities == {a, b}}
        assert kinds == {((a,), frozenset({b})), ((b,), frozenset({a})), ((), frozenset({a, b}))}


def test_conditions_stand_before_targets():
    for task in TASKS.values():
        for before, after in itertools.pairwise(task.spans):
            assert before.target <= after.target
