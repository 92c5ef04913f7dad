"""Where a run begins: from nothing, from the parameters of another run, or from all of its state (a fork)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from absl import logging

from mdm.data.pipeline import DataSettings
from mdm.diffusion.corruption import CorruptionSettings
from mdm.model import growth
from mdm.model.network import Network
from mdm.problems import Problem, Refusal, refuse_if
from mdm.runs.checkpoint import PARAMETERS, CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.tokens.vocabulary import Vocabulary
from mdm.training import sharding
from mdm.training.step import State, Step

STATE = "state"
TAKES = (STATE, *PARAMETERS)


@dataclasses.dataclass(frozen=True)
class OriginSettings:
    """run: folder of another run; "" to begin from nothing. step: of its checkpoints; 0 takes the newest whole one.

    take: "state" for a fork: parameters, optimizer and clock go on, under the schedule, mixture and batch of the new run;
          "parameters" or "ema" for a run that begins at row 0 with these parameters. Its vocabulary may be larger.
    """

    run: str = ""
    step: int = 0
    take: str = STATE

    def problems(self, at: str) -> list[Problem]:
        found = []
        if self.step < 0:
            found.append(Problem(f"{at}.step", self.step, "is no step", "name one, or 0 for the newest"))
        if self.take not in TAKES:
            found.append(Problem(f"{at}.take", self.take, "unknown", f"use one of {TAKES}"))
        return found


@dataclasses.dataclass(frozen=True)
class Begun:
    """state: of a run at its begin; step, row: that are behind it."""

    state: State
    step: int
    row: int


def begin(origin: OriginSettings, step: Step, data: DataSettings, corruption: CorruptionSettings, mesh) -> Begun:
    """The state of a new run that begins from another one, laid out on `mesh`.

    step, data, corruption: of the new run
    Raises Refusal if there is no such run or step, if it is damaged, or if it does not fit; Vanished, which is one, for a step
    that is gone.
    """
    folder = RunFolder(origin.run)
    before = Vocabulary.from_json(folder.read_json(folder.vocabulary), str(folder.vocabulary))
    reader = CheckpointReader(folder.checkpoints)
    number = origin.step or reader.latest()
    if number is None:
        raise Refusal(
            Problem("origin.run", origin.run, "holds no whole checkpoint", "train it first, or check the path")
        )
    logging.info("begins from the %s of %s at step %d", origin.take, origin.run, number)
    if origin.take == STATE:
        config = folder.read_json(folder.config)
        _refuse_other_clock(origin.run, config, before, step, data, corruption)
        return _fork(reader, number, config, step, mesh)
    return Begun(_with_parameters(reader, number, origin.take, before, step, mesh), 0, 0)


def _fork(reader: CheckpointReader, number: int, config: Mapping[str, Any], step: Step, mesh) -> Begun:
    earlier = dataclasses.replace(step, streams=len(config["data"]["streams"]))
    restored = reader.restore_state(number, sharding.abstract_state(earlier, mesh)._asdict())
    state = State(**restored.state)
    window = jax.jit(step.empty_window, out_shardings=sharding.state_shardings(step, mesh).window)(state.parameters)
    return Begun(state._replace(window=window), number, int(restored.position["row"]))


def _with_parameters(reader: CheckpointReader, number: int, which: str, before: Vocabulary, step: Step, mesh) -> State:
    own = step.network
    earlier = Network(own.settings, before, own.placement)
    refuse_if(growth.problems(own.vocabulary, before))
    known = reader.restore_parameters(number, sharding.abstract_parameters(earlier, mesh), which)

    def initial(known):
        state = step.initial()
        parameters = growth.carried(state.parameters, known, own.vocabulary, before)
        return state._replace(parameters=parameters, ema=jax.tree.map(jax.numpy.copy, parameters))

    return jax.jit(initial, out_shardings=sharding.state_shardings(step, mesh))(known)


def _refuse_other_clock(
    run: str,
    config: Mapping[str, Any],
    before: Vocabulary,
    step: Step,
    data: DataSettings,
    corruption: CorruptionSettings,
) -> None:
    """The state of a run holds counts of rows: they must mean as many tokens in the new one."""
    remedy = "keep it, or take the parameters alone: origin.take=ema"
    found = []
    if before != step.network.vocabulary:
        found.append(Problem("data.directory", data.directory, f"has another vocabulary than {run}", remedy))
    for where, own, its in (
        ("data.row_length", data.row_length, config["data"]["row_length"]),
        ("corruption.mode", corruption.mode, config["corruption"]["mode"]),
    ):
        if own != its:
            found.append(Problem(where, own, f"the run that is forked has {its!r}", remedy))
    refuse_if(found)
