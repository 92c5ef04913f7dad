"""A run in a bucket: the same code, the same numbers, and what happens when the bucket refuses a save."""

import json
from pathlib import Path

import pytest
from etils import epath

from mdm import exits
from mdm.problems import Refusal
from mdm.runs import folder as folders
from mdm.runs.folder import RunFolder
from tests import binaries, object_store
from tests.tiny import tiny_config, write_data
from tests.training.curves import curve

EXPERIMENT = """
import json
from pathlib import Path
from ml_collections import ConfigDict
def get_config():
    return ConfigDict(json.loads({value!r}))
"""


@pytest.fixture(scope="module")
def bucket():
    with object_store.serving() as (address, store):
        yield {"STORAGE_EMULATOR_HOST": address, "TENSORSTORE_GCS_HTTP_URL": address}, store


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    root = tmp_path_factory.mktemp("bucket")
    write_data(root / "set")
    (root / "tiny.py").write_text(EXPERIMENT.format(value=json.dumps(tiny_config(str(root / "set")))))
    return root / "tiny.py"


@pytest.fixture(scope="module")
def local(experiment):
    done = binaries.run("train", f"--config={experiment}", f"--workdir={experiment.parent / 'run'}")
    assert done.returncode == 0, done.stderr
    return RunFolder(experiment.parent / "run")


def copied(store: object_store.Store, prefix: str, target) -> RunFolder:
    """The objects of a run as files."""
    for name, own in store.objects.items():
        if name.startswith(f"{prefix}/"):
            path = target / name.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(own.content)
    return RunFolder(target)


def test_a_bucket_that_refuses_a_save_costs_that_save_and_the_next_start_goes_on(bucket, experiment, local, tmp_path):
    """What it held by then is whole, the error is loud, and the run ends as one that never stood still."""
    environment, store = bucket
    command = ("train", f"--config={experiment}", "--workdir=gs://bucket/run")
    store.refuses = lambda method, name: 403 if method != "GET" and name.startswith("run/checkpoints/6/") else 0
    first = binaries.run(*command, environment=environment)
    store.refuses = lambda method, name: 0
    assert first.returncode == exits.FAULT and "CHECKPOINT 6 WAS NOT SAVED, the one before it stays" in first.stderr
    assert "the last checkpoint was not saved" in first.stderr and "run/end.json" not in store.objects
    assert b"CHECKPOINT 6 WAS NOT SAVED" in store.objects["run/starts/1/log-0.txt"].content
    assert store.objects["run/metrics/0.jsonl"].content.count(b"\n") == 3
    second = binaries.run(*command, environment=environment)
    assert second.returncode == 0, second.stderr
    assert "from step 3" in second.stderr
    run = copied(store, "run", tmp_path / "run")
    assert curve(run) == curve(local) and run.read_end() == local.read_end()


def test_of_two_jobs_on_one_folder_the_later_start_goes_on(bucket, experiment, monkeypatch):
    """A bucket has no lock. Another job takes the number that this one was about to take, and later begins once more."""
    environment, store = bucket
    other = json.dumps({"number": 1, "host": "other", "began": 0.0, "alive": 0.0}).encode()

    put = store.put

    def beside_another_job(name, content, wanted):
        if name == "two/starts/1/start.json" and name not in store.objects:
            put(name, other, {})
        if name.startswith("two/checkpoints/3/") and "two/starts/3/start.json" not in store.objects:
            put("two/starts/3/start.json", other, {})
        return put(name, content, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(store, "put", beside_another_job)
        done = binaries.run("train", f"--config={experiment}", "--workdir=gs://bucket/two", environment=environment)
    assert done.returncode == exits.REFUSED and "a later start of this run has begun" in done.stderr, done.stderr
    assert store.objects["two/starts/1/start.json"].content == store.objects["two/starts/3/start.json"].content == other
    assert json.loads(store.objects["two/starts/2/start.json"].content)["code"] == exits.REFUSED
    assert any(name.startswith("two/checkpoints/3/") for name in store.objects)
    assert not any(name.startswith("two/checkpoints/6/") for name in store.objects)


@pytest.mark.slow
def test_what_reads_a_run_reads_it_from_a_bucket(bucket, experiment, local, tmp_path):
    environment, store = bucket
    for path in sorted(Path(local.path).rglob("*")):
        if path.is_file():
            store.put(f"finished/{path.relative_to(Path(local.path)).as_posix()}", path.read_bytes(), {})
    before = {name: own.generation for name, own in store.objects.items()}
    for where, own in (("gs://bucket/finished", environment), (str(local.path), {})):
        done = binaries.run("evaluate", f"--workdir={where}", "--step=6", environment=own)
        assert done.returncode == 0, done.stderr
    results = "evaluations/step-000000006.jsonl"
    there = store.objects[f"finished/{results}"].content.decode()
    assert _figures(there) == _figures((local.path / results).read_text()) and len(there.splitlines()) > 8
    after = {name: own.generation for name, own in store.objects.items() if "/evaluations/" not in name}
    assert after == before  # nothing else of the run was written
    made = binaries.run(
        "generate", "--workdir=gs://bucket/finished", "--task=text", f"--output={tmp_path}", environment=environment
    )
    assert made.returncode == 0 and (tmp_path / "samples.jsonl").exists(), made.stderr


def _figures(lines: str) -> list:
    found = [json.loads(line) for line in lines.splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "time")} for line in found]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(folders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"gs://b/run: gcsfs is not installed -> pip install 'mdm\[gcs\]'"):
        RunFolder("gs://b/run")
    assert isinstance(RunFolder("here").path, epath.Path)
