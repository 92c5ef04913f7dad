"""A job is proven before it costs money: presets fit their hardware, sizes are counted right, what cannot fit is refused."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh

from mdm import config
from mdm.data import manifest
from mdm.model import flops
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.problems import Refusal
from mdm.tokens.rows import build_row, stack
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import ahead, flight, roofline, sharding
from mdm.training.chips import CHIPS, GIB
from mdm.training.loop import build_step
from mdm.training.mesh import AXES, Devices
from mdm.training.work import Work, expected_work
from tests.test_config import GOLDEN, ROOT, load

PRESETS = ("tri_modal_320m", "tri_modal_1b", "tri_modal_3b")
FLEETS = {
    "v5p": (Devices(32, 1, "tpu"), Devices(64, 1, "tpu")),
    "v5e": (Devices(256, 1, "tpu"), Devices(512, 2, "tpu")),
    "v6e": (Devices(256, 1, "tpu"), Devices(128, 2, "tpu")),
    "h100": (Devices(64, 8, "gpu"), Devices(256, 32, "gpu")),
}


def preset(name, hardware):
    return config.resolve(load(ROOT / "experiments" / f"{name}.py", hardware)).job


@pytest.mark.parametrize("hardware", FLEETS)
@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_their_hardware(name, hardware):
    job = preset(name, hardware)
    for devices in FLEETS[hardware]:
        if devices.count <= job.training.batch_size:
            assert job.problems(devices) == []


@pytest.mark.parametrize("name", PRESETS)
def test_placement_of_a_preset_is_its_golden_file(name):
    """On one slice of 64 chips. To accept a change: rm the file and run again."""
    job = preset(name, "v5p")
    vocabulary = Vocabulary.of(job.data.codebooks)
    mesh = AbstractMesh(tuple(job.mesh.shape(Devices(64, 1, "tpu")).values()), AXES)
    step = build_step(job, vocabulary, mesh)
    places = sharding.table(step.network.abstract_parameters(), sharding.state_shardings(step, mesh).parameters)
    found = json.dumps([place._asdict() for place in places], indent=1) + "\n"
    golden = GOLDEN / f"{name}.placement.json"
    if not golden.exists():
        golden.write_text(found)
        pytest.fail(f"{golden} was written: read it, and commit it")
    assert found == golden.read_text()


def test_flops_are_those_of_the_products():
    """Against XLA's count of an unrolled forward pass, which also counts what is not a product: a few per cent more."""
    settings = ModelSettings(width=128, depth=2, head_size=32, hidden=256)
    network = Network(settings, Vocabulary.of({"text": (20,)}))
    row = stack([build_row([], network.vocabulary, 256)])
    forward = jax.jit(lambda p, row: network.bind(p).hidden(row.ids, row.segments, row.positions, row.ranges))
    counted = forward.lower(network.abstract_parameters(), row).compile().cost_analysis()["flops"]
    assert 0.9 < flops.body(settings, 256) / counted < 1.0


def test_head_counts_what_is_masked():
    settings = ModelSettings(width=10)
    assert flops.head(settings, {100: 3.0, 7: 2.0}) == 2 * 10 * (300 + 14)


def test_expected_work_counts_targets_of_the_mixture():
    job = preset("tri_modal_3b", "v5p")
    vocabulary = Vocabulary.of(job.data.codebooks)
    work = expected_work(job, vocabulary, None, 1)
    names = list(job.data.streams)
    share, head = dict(zip(names, work.share, strict=True)), dict(zip(names, work.head, strict=True))
    assert share == {"text": 0.6, "image-text": 0.2, "audio-text": 0.2} and work.imbalance == 1.0
    text = 2 * job.model.width * 100_278 * 3072 / 2  # complementary pairs: half of all positions are hidden
    assert head["text"] == pytest.approx(text)
    assert head["audio-text"] < head["image-text"] < head["text"]
    assert expected_work(job, vocabulary, None, 8).imbalance > 1.0


def test_estimates_follow_the_hardware():
    job = preset("tri_modal_3b", "v5p")
    work = Work(1e12, (0.0,), (1.0,), 1.0)
    one = {"replica": 1, "fsdp": 64, "tensor": 1, "sequence": 1}
    chip = CHIPS["v5p"]
    slow = roofline.estimate(job, work, one, 10**9, 1000, dataclasses.replace(chip, flops=chip.flops / 2))
    fast = roofline.estimate(job, work, one, 10**9, 1000, chip)
    assert (
        slow.compute == pytest.approx(2 * fast.compute) and fast.network == 0 and 0 < fast.mfu < roofline.MATMUL_SHARE
    )
    assert roofline.estimate(job, work, one | {"replica": 2}, 10**9, 1000, chip).network > 0


@pytest.mark.parametrize("name, chunk", [("v5p", 1024), ("v5e", 1024), ("v6e", 2048)])
def test_the_heads_chunk_of_a_preset_does_not_wait_for_its_columns(name, chunk):
    """The bound of the head is its products at the preset's chunk, and would be its traffic at an eighth of it."""
    job = preset("tri_modal_3b", name)
    assert job.model.head_chunk == chunk
    work, one = Work(1e12, (1e12,), (1.0,), 1.0), {"replica": 1, "fsdp": 64, "tensor": 1, "sequence": 1}
    narrow = dataclasses.replace(job, model=dataclasses.replace(job.model, head_chunk=chunk // 8))
    own, waiting = (roofline.estimate(j, work, one, 10**9, 1000, CHIPS[name]) for j in (job, narrow))
    assert own.head_hbm < own.head == waiting.head < waiting.head_hbm and own.step < waiting.step


@pytest.mark.parametrize("name", ["v9:2x2", "v5p", "v5p:4", "v5p:axb", "", "h100:8"])
def test_a_topology_that_does_not_exist_is_refused(name):
    with pytest.raises(Refusal, match="--topology"):
        ahead.topology(name, 1)


REFUSED = "RESOURCE_EXHAUSTED: Ran out of memory on HBM"


@pytest.mark.parametrize(
    "message",
    [f"{REFUSED}. Used 239.31G of 15.75G hbm.", f"{REFUSED}, the total memory required for HLO temporaries (239.31G) "
     "exceeds available HBM (15.75G)."],
)  # fmt: skip
def test_the_size_that_a_compiler_refused_is_read(message):
    assert round(ahead.too_large(message, 1.0).used / GIB, 2) == 239.31


def test_what_the_compiler_refuses_for_another_reason_is_no_flight():
    with pytest.raises(RuntimeError, match="INTERNAL"):
        ahead.too_large("INTERNAL: a bug", 1.0)


def test_a_flight_on_this_machine(make_job):
    """The whole way, on the devices that are here."""
    job = make_job()
    data = manifest.load(job.data.directory)
    found = flight.fly(job, data.vocabulary, data, jax.devices()[:1], None)
    summary = found.summary()
    assert summary["fits"] and summary["hbm_gib_used"] > 0 and summary["estimated_mfu"] is None
    assert (
        summary["parameters"]
        == sum(place.held for place in found.places)
        == sum(int(np.prod(p.shape)) for p in found.places)
    )
    assert json.loads(json.dumps(summary)) == summary
    shown = flight.text(found, job, jax.devices()[:1])
    assert "blocks.qkv" in shown and "0-7" in shown and "days" not in shown


def test_a_flight_that_does_not_fit_says_so(make_job):
    job = make_job()
    data = manifest.load(job.data.directory)
    tiny = dataclasses.replace(CHIPS["v5e"], hbm=1000.0)
    found = flight.fly(job, data.vocabulary, data, jax.devices()[:1], tiny)
    assert not found.fits and found.summary()["hbm_gib_limit"] == 0.0
