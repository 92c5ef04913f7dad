import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.data import packing, pipeline
from mdm.data.mixture import Stage
from mdm.data.pipeline import DataSettings, Position, Rows
from mdm.data.streams import StreamSettings
from mdm.fingerprint import fingerprint
from mdm.problems import Refusal
from mdm.tokens.rows import CONDITION, TARGET
from mdm.tokens.tasks import TASK_NAMES, TASKS
from tests.data import synthetic


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    synthetic.write(path)
    return path


def data_settings(directory, stages=(Stage(0, {"text": 2, "image-text": 1, "audio-text": 3}),), **changes):
    streams = {
        "text": StreamSettings({"text": 1.0}, split_documents=True),
        "image-text": StreamSettings({"text-to-image": 0.5, "image-to-text": 0.25, "joint-image-text": 0.25}),
        "audio-text": StreamSettings({"text-to-speech": 1.0, "speech-to-text": 1.0}),
    }
    return DataSettings(
        **{"directory": str(directory), "row_length": 96, "streams": streams, "stages": stages} | changes
    )


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def take(rows, first, batch, steps, host=0, hosts=1):
    local = batch // hosts
    source = pipeline.batches(rows, first, batch, range(host * local, (host + 1) * local))
    found = [next(source) for _ in range(steps)]
    source.close()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


NAMES = ("text", "image-text", "audio-text")


@st.composite
def runs(draw, workers):
    """Any data set, mixture and way of reading it: (of the data set, settings, views, legs). A leg is what one start reads:
    (hosts, rows of a host in a batch, batches, workers of one of the hosts)."""
    made = {
        "documents": draw(st.integers(12, 40)),
        "shard_documents": draw(st.integers(1, 25)),
        "seed": draw(st.integers(0, 9)),
    }
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    share = st.sampled_from((0.0, 0.2, 1.0, 3.0))
    streams = {}
    for name in names:
        tasks = [task for task, own in TASKS.items() if own.modalities == frozenset(name.split("-"))]
        chosen = draw(st.dictionaries(st.sampled_from(tasks), share, min_size=1).filter(lambda own: any(own.values())))
        streams[name] = StreamSettings(chosen, name == "text" and draw(st.booleans()), drop_long=True)
    stages, start = [], 0
    for _ in range(draw(st.integers(1, 3))):
        rows = draw(
            st.fixed_dictionaries(dict.fromkeys(names, st.integers(0, 4))).filter(lambda own: any(own.values()))
        )
        stages.append(Stage(start, rows))
        start += stages[-1].block * draw(st.integers(1, 4))
    whole = (
        "text" in streams and not streams["text"].split_documents
    )  # of up to 299 positions and a tail: some are dropped
    row_length = draw(st.integers(200, 380) if whole else st.integers(96, 140))
    changes = {"streams": streams, "seed": draw(st.integers(0, 2**40)), "row_length": row_length, "prefetch": 1}
    legs = st.tuples(st.integers(1, 16), st.integers(1, 3), st.integers(1, 2), workers)
    return made, tuple(stages), changes, draw(st.integers(1, 2)), draw(st.lists(legs, min_size=1, max_size=3))


def check_run(run):
    """The rows of all legs, each begun where the one before it was stopped, are rows 0, 1, 2 ... of the run, one by one."""
    made, stages, changes, views, legs = run
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write(Path(folder), **made)
        open_ = lambda **more: Rows(data_settings(folder, stages, **changes, **more), views)  # noqa: E731
        rows, row = open_(), 0
        for hosts, local, steps, workers in legs:
            batch = hosts * local
            again = open_()
            first = pipeline.resume(json.loads(json.dumps(rows.position(row).to_json())), again)
            assert first == row
            expected = [rows[first + i] for i in range(batch * steps)]
            for host in range(hosts):
                own = open_(workers=workers) if workers and host == first % hosts else again
                found = take(own, first, batch, steps, host, hosts)
                for step, i in itertools.product(range(steps), range(local)):
                    one = jax.tree.map(lambda x: x[step * local + i], found)  # noqa: B023
                    assert_equal(one, expected[step * batch + host * local + i])
            row += batch * steps
        check_mixture(rows, stages, views, row)


def check_mixture(rows, stages, views, read):
    """Of the rows below `read`: views share theirs, whole blocks have the exact ratio, no row of a stream is lost or doubled."""
    streams, ordinals = rows.locate(np.arange(read // views * views))
    for view in range(views):
        np.testing.assert_array_equal(streams[view::views], streams[::views])
    streams, ordinals = streams[::views], ordinals[::views]
    ends = [*(stage.from_row for stage in stages[1:]), len(streams)]
    for stage, end in zip(stages, ends, strict=True):
        for block in range(stage.from_row, min(end, len(streams)) - stage.block + 1, stage.block):
            own = np.bincount(streams[block : block + stage.block], minlength=len(rows.streams))
            assert own.tolist() == [stage.rows[stream.name] for stream in rows.streams]
    # What stands in a block that is only begun may come in any order.
    for number in range(len(rows.streams)):
        own = np.sort(ordinals[streams == number])
        assert len(set(own.tolist())) == len(own) and (
            not own.size or own[-1] < len(own) + max(s.block for s in stages)
        )


@given(runs(st.just(0)))
@settings(max_examples=35)
def test_hosts_stops_and_restarts_change_nothing_in_the_sequence_of_rows(run):
    check_run(run)


@pytest.mark.slow
@given(runs(st.integers(0, 4)))
@settings(max_examples=15)
def test_neither_do_worker_processes(run):
    flags.FLAGS.mark_as_parsed()
    check_run(run)


def test_every_row_of_a_pass_comes_once_and_the_next_pass_is_another_order(directory):
    rows = Rows(data_settings(directory))
    for stream in rows.streams:
        passes = []
        for epoch in range(2):
            own = stream.segments(epoch * stream.rows + np.arange(stream.rows))
            passes.append([tuple(s.document["text"].tobytes() for s in segments) for segments in own])
        assert sorted(passes[0]) == sorted(passes[1]) and passes[0] != passes[1]
        assert sum(len(set(p)) for p in passes) == 2 * stream.rows


@pytest.mark.parametrize("workers", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3, 4))])
def test_worker_processes_do_not_change_the_order(directory, workers):
    flags.FLAGS.mark_as_parsed()  # grain's workers read absl flags, which a binary has parsed by then
    alone = take(Rows(data_settings(directory)), 5, 4, 3)
    assert_equal(take(Rows(data_settings(directory, workers=workers)), 5, 4, 3), alone)
    last = take(Rows(data_settings(directory, workers=workers)), 5 + 8, 4, 1)  # stopped and begun again
    assert_equal(last, jax.tree.map(lambda own: own[8:], alone))


def test_views_share_their_data_row(directory):
    rows = Rows(data_settings(directory), views=2)
    for number in (0, 6, 40):
        one, two = rows[number], rows[number + 1]
        assert_equal(one.rows, two.rows)
        assert (one.ordinal, one.stream) == (two.ordinal, two.stream)
        assert one.number[1] + 1 == two.number[1]


def test_tasks_are_drawn_as_asked(directory):
    rows = Rows(data_settings(directory, (Stage(0, {"image-text": 1}),)))
    segments = [s.task.name for own in rows.streams[1].segments(np.arange(300)) for s in own]
    shares = {task: segments.count(task) / len(segments) for task in set(segments)}
    assert shares["text-to-image"] == pytest.approx(0.5, abs=0.06)
    assert shares["image-to-text"] == pytest.approx(0.25, abs=0.06)


def test_conditions_and_targets_lie_in_the_right_modalities(directory):
    batch = take(Rows(data_settings(directory)), 0, 12, 2)
    ranges = np.array([*synthetic.VOCABULARY.modality_of_range, -1])[batch.rows.ranges]
    for b in range(24):
        for role, wanted in ((CONDITION, {"text-to-image": 0, "image-to-text": 1}), (TARGET, {"text-to-image": 1})):
            for task, modality in wanted.items():
                own = (batch.rows.tasks[b] == TASK_NAMES.index(task)) & (batch.rows.roles[b] == role)
                assert set(ranges[b][own]) <= {modality}


def test_resume_refuses_other_data(directory):
    rows = Rows(data_settings(directory))
    position = json.loads(json.dumps(Position(120, rows.fingerprint).to_json()))
    assert pipeline.resume(position, rows) == 120
    assert pipeline.resume(position, Rows(data_settings(directory, workers=1, prefetch=2))) == 120
    for change in (
        {"seed": 1},
        {"row_length": 112},
        {"stages": (Stage(0, {"text": 1}),)},
        {"streams": {**data_settings(directory).streams, "text": StreamSettings({"text": 1.0})}, "row_length": 400},
    ):
        with pytest.raises(Refusal, match="trained on other rows"):
            pipeline.resume(position, Rows(data_settings(directory, **change)))
    with pytest.raises(Refusal, match="trained on other rows"):
        pipeline.resume(position, Rows(data_settings(directory), views=2))


@pytest.mark.parametrize("views", [1, 2])
def test_stages_ahead_may_change_and_begun_ones_may_not(directory, views):
    first, second = Stage(0, {"text": 2}), Stage(40, {"image-text": 1, "text": 1})
    made = lambda *stages: Rows(data_settings(directory, stages), views)  # noqa: E731
    before = made(first, second)
    ahead = (made(first), made(first, Stage(60, {"text": 1})), made(first, second, Stage(60, {"audio-text": 1})))
    at = 40 * views  # the next row is the first of the second stage: none of it was read
    position = json.loads(json.dumps(before.position(at).to_json()))
    for rows in ahead:
        assert pipeline.resume(position, rows) == at
        assert_equal(rows.at(np.arange(at)), before.at(np.arange(at)))
    begun = before.position(at + 1).to_json()
    assert pipeline.resume(begun, ahead[2]) == at + 1
    for rows in (*ahead[:2], made(first, Stage(40, {"image-text": 2})), made(first, Stage(38, {"text": 1}))):
        with pytest.raises(Refusal, match="a stage that had begun"):
            pipeline.resume(begun, rows)
    for rows in (made(Stage(0, {"text": 1})), made(first, Stage(38, {"text": 1}), Stage(40, second.rows))):
        with pytest.raises(Refusal, match="a stage that had begun"):
            pipeline.resume(position, rows)


def test_positions_that_were_saved_with_all_stages_still_resume(directory):
    first, second = Stage(0, {"text": 2}), Stage(40, {"image-text": 1, "text": 1})
    old = Rows(data_settings(directory, (first, second)))
    position = Position(10, old.fingerprint).to_json()  # as before stages ahead were left out
    assert pipeline.resume(position, old) == 10
    assert pipeline.resume(position, Rows(data_settings(directory, (first, second, Stage(60, {"text": 1}))))) == 10
    with pytest.raises(Refusal, match="a stage that had begun"):
        pipeline.resume(position, Rows(data_settings(directory, (first, Stage(60, {"text": 1})))))


def test_dropping_changes_rows_only_where_it_is_asked_for(directory):
    streams = data_settings(directory).streams
    dropping = {name: dataclasses.replace(own, drop_long=True) for name, own in streams.items()}
    fitting, all_fit = Rows(data_settings(directory)), Rows(data_settings(directory, streams=dropping))
    assert fitting.fingerprint != all_fit.fingerprint and [own.dropped for own in all_fit.streams] == [0, 0, 0]
    assert_equal(fitting.at(np.arange(50)), all_fit.at(np.arange(50)))
    with pytest.raises(Refusal, match="drop_long"):
        Rows(data_settings(directory, row_length=40))
    rows = Rows(data_settings(directory, row_length=40, streams=dropping))
    assert sum(own.dropped for own in rows.streams) > 0
    whole = take(rows, 0, 4, 6)
    again = take(Rows(data_settings(directory, row_length=40, streams=dropping)), 8, 4, 4)
    assert_equal(again, jax.tree.map(lambda own: own[8:], whole))


def test_the_fingerprint_is_what_it_was_before_streams_could_drop(directory):
    rows, value = Rows(data_settings(directory)), dataclasses.asdict(data_settings(directory))
    for key in ("directory", "codebooks", "workers", "prefetch"):
        del value[key]
    for stream in value["streams"].values():
        stream.pop("drop_long")
    assert rows.fingerprint == fingerprint({"settings": value, "views": 1, "manifest": rows.manifest.fingerprint})


def test_another_way_of_packing_is_another_run(directory, monkeypatch):
    """The fingerprint of the first version does not name it: runs of before this was looked at go on."""
    position = Rows(data_settings(directory)).position(120).to_json()
    monkeypatch.setattr(packing, "VERSION", packing.VERSION + 1)
    with pytest.raises(Refusal, match="trained on other rows"):
        pipeline.resume(position, Rows(data_settings(directory)))


def test_another_data_set_has_another_fingerprint(directory, tmp_path):
    synthetic.write(tmp_path, seed=3)
    assert Rows(data_settings(tmp_path)).fingerprint != Rows(data_settings(directory)).fingerprint


def test_a_copied_data_set_has_the_same_fingerprint(directory, tmp_path):
    synthetic.write(tmp_path)
    assert Rows(data_settings(tmp_path)).fingerprint == Rows(data_settings(directory)).fingerprint


def test_missing_stream_and_wrong_tasks_are_refused_before_training(directory):
    with pytest.raises(Refusal, match="data.streams.music.*not in the data set"):
        Rows(data_settings(directory, (Stage(0, {"music": 1}),), streams={"music": StreamSettings({"text": 1.0})}))
    with pytest.raises(Refusal, match="data.streams.text.tasks"):
        Rows(
            data_settings(directory, (Stage(0, {"text": 1}),), streams={"text": StreamSettings({"text-to-image": 1.0})})
        )


def test_settings_problems(directory):
    good = data_settings(directory)
    assert good.problems("data") == []
    bad = dataclasses.replace(
        good,
        row_length=2,
        workers=-1,
        streams={"text": StreamSettings({"txt": 1.0, "text": -1.0}, True)},
        stages=(Stage(0, {"text": -3}),),
    )
    text = "\n".join(map(str, bad.problems("data")))
    for key in ("data.row_length", "data.workers", "data.streams.text.tasks", "data.stages[0].rows.text"):
        assert key in text


def test_a_host_reads_the_rows_that_it_is_told_to(directory):
    rows = Rows(data_settings(directory))
    source = pipeline.batches(rows, 3, 6, [1, 4, 5])
    found = [int(number) for _ in range(2) for number in next(source).number[:, 1]]
    source.close()
    assert found == [4, 7, 8, 10, 13, 14]


def test_a_data_set_of_other_codebooks_is_refused(directory):
    sizes = {}
    for own in synthetic.VOCABULARY.ranges:
        sizes[own.modality] = (*sizes.get(own.modality, ()), own.symbols)
    Rows(data_settings(directory, codebooks=sizes))
    with pytest.raises(Refusal, match=r"data\.codebooks.*the data set in .* has"):
        Rows(data_settings(directory, codebooks=sizes | {"image": (7,)}))
    assert any(
        "codebooks of image" in str(p) for p in data_settings(directory, codebooks={"image": ()}).problems("data")
    )


_LIMITED = """
import hashlib, os, resource, sys
import numpy as np
from mdm.data.mixture import Stage
from mdm.data.pipeline import Rows
from mdm.data.shards import lengths, ShardReader
from mdm.fingerprint import fingerprint
from mdm.problems import Refusal
from tests.data import test_pipeline

settings = test_pipeline.data_settings(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
rows, most = Rows(settings), 0
for number in range(300):
    rows.at(np.array([number]))
    most = max(most, len(os.listdir("/proc/self/fd")))
print(most)
print(hashlib.sha256(rows.at(np.arange(300)).rows.ids.tobytes()).hexdigest())
shard = rows.manifest.streams["text"].shards["train"][0]
held = []
try:
    while True:
        held.append(open(sys.argv[0]))
except OSError:
    pass
for read in (lambda: lengths(rows.manifest.directory, shard), lambda: ShardReader(rows.manifest.directory, shard).read([0])):
    try:
        read()
    except Refusal as refusal:
        print(refusal.problems[0])
"""


def test_few_files_are_open_however_many_shards_there_are(tmp_path):
    synthetic.write(tmp_path / "set", shard_documents=1)  # 180 shards, three files each
    (tmp_path / "limited.py").write_text(_LIMITED)
    command = [sys.executable, str(tmp_path / "limited.py"), str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    most, digest, *told = done.stdout.splitlines()
    assert int(most) < 64 and len(told) == 2, done.stderr
    expected = Rows(data_settings(tmp_path / "set")).at(np.arange(300)).rows.ids
    assert digest == hashlib.sha256(expected.tobytes()).hexdigest()
    assert all("as many files open as it may (64)" in line and "ulimit" in line for line in told)
