"""The loop: reads rows, runs the step, logs one step late, saves, and ends.

Nothing here decides a number: that is the step's and the data's. The loop can be killed between any two instructions.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging
from clu import parameter_overview
from jax.sharding import Mesh

from mdm.data import pipeline
from mdm.data.pipeline import DataSettings, Rows
from mdm.diffusion.corruption import CorruptionSettings
from mdm.diffusion.objective import ObjectiveSettings
from mdm.model import attention
from mdm.model.network import Network
from mdm.model.transformer import ModelSettings
from mdm.problems import Fault, Problem, refuse_if
from mdm.runs import agreement, goodput
from mdm.runs.checkpoint import Checkpoints, CheckpointSettings
from mdm.runs.folder import RunFolder
from mdm.runs.host import Host
from mdm.runs.log import MetricsLog
from mdm.runs.preemption import Preempted
from mdm.runs.starts import Starting
from mdm.tokens.vocabulary import MODALITIES, Vocabulary
from mdm.training import clock as clocks
from mdm.training import metrics, origin, sharding
from mdm.training.around import Around
from mdm.training.batch_scaling import BatchScale, batch_scale
from mdm.training.chips import chip_of
from mdm.training.clock import Clock
from mdm.training.guards import GuardSettings
from mdm.training.health import Health
from mdm.training.mesh import Devices, MeshSettings, make_mesh
from mdm.training.optimizer import OptimizerSettings, ema_decay, optimizer, peak, schedule
from mdm.training.origin import OriginSettings
from mdm.training.profile import Profile, ProfileSettings
from mdm.training.step import Numbers, State, Step


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """batch_size: rows a step; tokens: budget in unique positions (rows x row length, a complementary pair counted once);
    rows_at_a_time: most rows that each data shard takes through the network at once (0: all of its own): bounds the memory and
    changes nothing else; log_every: steps a line of the log; most_skipped: updates in a row that may be not finite before the
    run stops; profile: steps that are recorded for the profiler."""

    batch_size: int
    tokens: int
    rows_at_a_time: int = 0
    log_every: int = 10
    most_skipped: int = 20
    seed: int = 0
    profile: ProfileSettings = ProfileSettings()

    def problems(self, at: str) -> list[Problem]:
        found = self.profile.problems(f"{at}.profile")
        found += [
            Problem(f"{at}.{key}", getattr(self, key), "must be positive", "set it to 1 or more")
            for key in ("batch_size", "tokens", "log_every", "most_skipped")
            if getattr(self, key) < 1
        ]
        if self.rows_at_a_time < 0:
            found.append(Problem(f"{at}.rows_at_a_time", self.rows_at_a_time, "negative", "0 takes all rows at once"))
        return found

    def micro_batches(self, shards: int) -> int:
        """Parts, as few as `rows_at_a_time` allows, in which a batch cut over so many data shards goes through the network."""
        own = self.batch_size // shards
        most = self.rows_at_a_time or own
        return next(parts for parts in range(1, own + 1) if own % parts == 0 and own // parts <= most)


@dataclasses.dataclass(frozen=True)
class Job:
    """All settings of a pretraining run, room by room."""

    data: DataSettings
    corruption: CorruptionSettings
    objective: ObjectiveSettings
    model: ModelSettings
    optimizer: OptimizerSettings
    training: TrainingSettings
    mesh: MeshSettings
    checkpoints: CheckpointSettings
    guards: GuardSettings = GuardSettings()
    origin: OriginSettings = OriginSettings()

    def problems(self, devices: Devices) -> list[Problem]:
        """All that keeps this job from these devices."""
        model, length, shape = self.model, self.data.row_length, self.mesh.shape(devices)
        own = length // self.mesh.sequence
        return [
            *self.mesh.misfits("mesh", devices),
            *sharding.problems(shape, model, length, self.training.batch_size),
            *attention.problems(
                "model.attention", model.attention, model.head_size, own, model.compute_dtype, devices.platform
            ),
            *self._unfit(devices),
        ]

    def _unfit(self, devices: Devices) -> list[Problem]:
        if self.model.remat == "offload" and devices.platform == "cpu":
            reason, remedy = "a CPU has no other memory to lay activations aside in", "use full, dots or none"
            return [Problem("model.remat", self.model.remat, reason, remedy)]
        return []

    @property
    def tokens_per_row(self) -> float:
        """Unique positions a run row: half its length where two rows are views of one."""
        return self.data.row_length / self.corruption.views

    @property
    def batch_scale(self) -> BatchScale:
        """What batch and horizon make of the optimizer's settings."""
        batch = self.training.batch_size * self.tokens_per_row
        return batch_scale(self.optimizer.batch_scaling, batch, self.training.tokens)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the rule for the batch size does not promise for this job."""
        own = self.optimizer
        return tuple(self.batch_scale.warnings(own.clip, min(own.beta1, own.beta2)))

    @property
    def rows(self) -> int:
        """Run rows that the token budget buys, in whole batches."""
        batch = self.training.batch_size
        return math.ceil(self.training.tokens / (batch * self.tokens_per_row)) * batch


def build_step(job: Job, vocabulary: Vocabulary, mesh: Mesh) -> Step:
    """The pure train step of a job, on a mesh that it fits."""
    network = Network(job.model, vocabulary, sharding.placement(mesh))
    decay = ema_decay(job.optimizer, job.training.batch_size * job.tokens_per_row)
    return Step(
        network=network,
        corruption=job.corruption,
        objective=job.objective,
        optimizer=optimizer(job.optimizer, network, job.batch_scale),
        schedule=schedule(job.optimizer, job.training.tokens),
        tokens_per_row=job.tokens_per_row,
        numbers=Numbers.of(job.training.seed, peak(job.optimizer, job.batch_scale), decay),
        streams=len(job.data.streams),
        micro_batches=job.training.micro_batches(sharding.data_shards(mesh.shape)),
    )


@dataclasses.dataclass(frozen=True)
class Behind:
    """Where a run goes on: `step` batches and `row` rows are behind it."""

    step: int
    row: int


def train(job: Job, folder: RunFolder, starting: Starting, around: Around) -> None:
    """Trains to the end of the token budget, from the newest whole checkpoint of `folder` if there is one.

    starting: takes down how far it comes
    Raises Refusal for data that do not fit the checkpoint, Diverged if too many updates in a row are not finite, Preempted behind
    the save of a run that was asked to go, and Fault if storage fails where nothing but another start helps.
    """
    clock, devices = Clock(), jax.devices()
    around.watchdog.opened(starting)
    refuse_if(job.problems(Devices.of(devices)))
    rows = Rows(job.data, job.corruption.views)
    mesh = make_mesh(job.mesh, devices)
    step = build_step(job, rows.manifest.vocabulary, mesh)
    with (
        jax.set_mesh(mesh),
        Checkpoints(folder.checkpoints, job.checkpoints) as checkpoints,
    ):
        state, start, begun = _start(job, step, rows, mesh, checkpoints, clock)
        starting.goes_on()
        if agreement.leads():
            around.accepted()
        if begun:
            with clock.spent_on(clocks.SAVE):  # from here on the run stands alone, whatever becomes of the other one
                checkpoints.save(start.step, _saved(state), rows.position(start.row).to_json())
        starting.update(restored=start.step, reached=start.step)
        places = sharding.table(state.parameters, sharding.state_shardings(step, mesh).parameters)
        starting.write_placement(sharding.text(places))
        log, profile = None, Profile(job.training.profile, folder.events)
        if agreement.leads():  # every process trains, one writes
            _describe(job, rows, state, start)
            log = MetricsLog(folder, start.step)
        last = start.step + max(0, math.ceil((job.rows - start.row) / job.training.batch_size))
        host = Host(folder.path, job.guards.memory, job.guards.checkpoints * _bytes(state))
        lines = _Lines(job, rows, mesh, log, clock, starting, host)
        health = Health(job.training.batch_size, job.training.most_skipped, job.guards.spike)
        beside = _Beside(clock, starting, lines, profile, health, around)
        try:
            done = _walk(job, step, state, start, last, rows, mesh, checkpoints, beside)
        finally:
            profile.end()
            if log:
                log.close()
        with clock.spent_on(clocks.SAVE):
            held = not agreement.anywhere(done != start.step and not checkpoints.holds(done))
        starting.update(reached=done, seconds=clock.seconds())
    _report(starting)
    if done < last:
        raise Preempted(f"asked to go behind step {done} of {last}, which is {'' if held else 'NOT '}saved")
    if not held:
        told = "the last checkpoint was not saved, see the error above it in the log; the next start goes on from the one before"
        raise Fault(f"{folder.checkpoints / str(done)}: {told}")
    if agreement.leads():
        folder.mark_end("token budget reached", done)


def _start(
    job: Job, step: Step, rows: Rows, mesh: Mesh, checkpoints: Checkpoints, clock: Clock
) -> tuple[State, Behind, bool]:
    """State, what is behind it, and whether it came from another run just now."""
    with clock.spent_on(clocks.RESTORE):
        restored = checkpoints.restore(_saved(sharding.abstract_state(step, mesh)))
    if restored is None and job.origin.run:
        with clock.spent_on(clocks.RESTORE):
            begun = origin.begin(job.origin, step, job.data, job.corruption, mesh)
        return begun.state, Behind(begun.step, begun.row), True
    if restored is None:
        with clock.spent_on(clocks.COMPILE):
            initial = jax.jit(step.initial, out_shardings=sharding.state_shardings(step, mesh))
            return initial(step.numbers), Behind(0, 0), False
    return State(**restored.state), Behind(restored.step, pipeline.resume(restored.position, rows)), False


def _saved(state: State) -> dict[str, Any]:
    """The state as a checkpoint holds it: one named subtree a field, so that parameters can be read alone."""
    return state._asdict()


@dataclasses.dataclass(frozen=True)
class _Beside:
    """What looks at a run while it walks, and changes nothing of it."""

    clock: Clock
    starting: Starting
    lines: _Lines
    profile: Profile
    health: Health
    around: Around


def _walk(
    job: Job,
    step: Step,
    state: State,
    start: Behind,
    last: int,
    rows: Rows,
    mesh: Mesh,
    checkpoints: Checkpoints,
    beside: _Beside,
) -> int:
    """Trains from `start` to step `last`, or until it is asked to go; returns the number of steps then made."""
    training, clock, row, done = job.training, beside.clock, start.row, start.step
    if beside.around.asked(done):
        return done
    run, take = (clock.compiling(program) for program in sharding.jit_step(step, mesh))
    numbers = sharding.everywhere(mesh, step.numbers)  # once: the step would carry them to the devices each time
    own = sharding.rows_read(mesh.devices, training.batch_size, jax.process_index())
    batches = pipeline.batches(rows, start.row, training.batch_size, own)
    clock.start_steps()
    unread: tuple[int, Any] | None = None
    line: Callable[[], None] | None = None
    try:
        for done in range(start.step + 1, last + 1):
            with clock.spent_on(clocks.INPUT):
                batch = next(batches)
            batch = sharding.global_batch(mesh, training.batch_size, own, batch)
            beside.profile.before(done, state.rows)
            with jax.profiler.StepTraceAnnotation("train", step_num=done):
                state, report = run(state, batch, numbers)
            row += training.batch_size
            if unread:
                beside.health.look(*unread)  # the step before this one: the device never waits for the host
                beside.around.watchdog.beat()
            unread = row, report
            if line:
                line()
                line = None
            if done % training.log_every == 0 or done == last:
                state, window = take(state)
                line = functools.partial(beside.lines.write, done, last, row, window)
            going = beside.around.asked(done)
            if going or checkpoints.due(done) or done == last:
                if line:  # before the checkpoint is: a resumed run cannot write the lines behind its checkpoint again
                    line()
                    line = None
                with beside.around.watchdog.aside(), clock.spent_on(clocks.SAVE):
                    checkpoints.wait()  # it may take long, and what is asked next must hold when the save begins
                    beside.starting.refuse_superseded()
                    beside.lines.flush()
                    checkpoints.save(done, _saved(state), rows.position(row).to_json())
            if going:
                break
        if unread:
            beside.health.look(*unread)
            beside.around.watchdog.beat()
        if line:
            line()
    finally:
        batches.close()
    return done


class _Lines:
    """Turns the sums of a window into a line of the log, and takes down how far the run has come. All processes look at their
    host; one writes."""

    def __init__(
        self, job: Job, rows: Rows, mesh: Mesh, log: MetricsLog | None, clock: Clock, starting: Starting, host: Host
    ):
        self._clock = clock
        self._job, self._rows, self._log, self._starting, self._host = job, rows, log, starting, host
        self._streams = tuple(stream.name for stream in rows.streams)
        self._vocabulary = rows.manifest.vocabulary
        chip = chip_of(mesh.devices.flat[0].device_kind)
        self._peak = chip and chip.flops * mesh.size

    def flush(self) -> None:
        """Before a checkpoint: a resumed run cannot write the lines behind it again."""
        if self._log:
            self._log.flush()

    def write(self, done: int, last: int, row: int, window) -> None:
        of_host = self._host.figures()
        if self._log is None:
            return
        window = jax.device_get(window)  # waits for the step that filled it
        with self._clock.spent_on(clocks.LOG):
            job = self._job
            found = metrics.figures(window, self._streams) | of_host
            found |= {"tokens": row * job.tokens_per_row, "tokens_processed": row * job.data.row_length}
            flops = metrics.model_flops(window, job.model, job.data.row_length, self._vocabulary)
            found |= self._clock.figures(found.pop("tokens_in_window"), flops, self._peak)
            found |= {f"passes/{stream}": passes for stream, passes in self._rows.passes(row).items()}
            self._starting.update(reached=done, seconds=self._clock.seconds())
            found |= goodput.figures((*self._starting.earlier, self._starting.now))
            if not self._starting.superseded():  # all processes end behind the next save, which is refused
                self._log.write(done, found)
        bits = ", ".join(f"{m} {found[f'elbo_bits/{m}']:.3f}" for m in MODALITIES if f"elbo_bits/{m}" in found)
        speed = f"{found['tokens_per_second']:,.0f} tokens/s, {found['model_flops_per_second'] / 1e12:.3g} TFLOP/s"
        speed += f", MFU {found['mfu']:.1%}" if self._peak else ""
        logging.info("step %d of %d: loss %.4f; bits a token: %s; %s", done, last, found["loss"], bits, speed)


def _report(starting: Starting) -> None:
    if agreement.leads():
        logging.info("where the time of the run went:\n%s", goodput.report((*starting.earlier, starting.now)))


def _bytes(state: State) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def _describe(job: Job, rows: Rows, state: State, start: Behind) -> None:
    if job.optimizer.batch_scaling.on:
        logging.info("batch scaling: %s", "; ".join(f"{name} {what}" for name, what in job.batch_scale.facts()))
    for warning in job.warnings:
        logging.warning(warning)
    for stream in rows.streams:
        logging.info("%s: %d documents, %d rows of %d a pass, %.1f %% filled",
                     stream.name, stream.documents, stream.rows, job.data.row_length, 100 * stream.fill)  # fmt: skip
    count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state.parameters))
    logging.info("%d parameters, from step %d, row %d of %d\n%s", count, start.step, start.row, job.rows,
                 parameter_overview.get_parameter_overview(state.parameters, include_stats=False))  # fmt: skip
