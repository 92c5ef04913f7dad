"""Checkpoints: the only module that knows Orbax.

A checkpoint is STEP/ with items `parameters`, `ema` and `rest` (arrays) and `position` (JSON), so that parameters are read
without the optimizer. Writing is asynchronous; reading works on any mesh and number of hosts.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, EveryNSteps, LatestN

from mdm.problems import Fault, Problem, Refusal
from mdm.runs import agreement, damage, fit, seal
from mdm.runs.storage import answered, exists, first_line

PARAMETERS = ("parameters", "ema")
_REST, _POSITION = "rest", "position"
_ITEMS = (*PARAMETERS, _REST, _POSITION)
_CLOSINGS = 8  # one, and one for each part of a manager that may have failed


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """every: steps between checkpoints; latest: how many are kept to resume from; keep_every: steps whose checkpoints are
    kept for good (0: none)."""

    every: int = 1000
    latest: int = 3
    keep_every: int = 0

    def problems(self, at: str) -> list[Problem]:
        least = {"every": 1, "latest": 1, "keep_every": 0}
        found = [
            Problem(f"{at}.{key}", getattr(self, key), f"below {low}", f"use {low} or more")
            for key, low in least.items()
            if getattr(self, key) < low
        ]
        if not found and self.keep_every % self.every:
            remedy = f"use a multiple of {at}.every = {self.every}"
            found.append(Problem(f"{at}.keep_every", self.keep_every, "no checkpoint is written at such steps", remedy))
        return found


class Vanished(Refusal):
    """A checkpoint is not there: whoever named it is refused; whoever follows a run, which deletes what it wrote, goes on."""

    def __init__(self, folder: epath.Path, step: int, there: Sequence[int]):
        super().__init__(Problem(str(folder), step, f"is not there; the run holds {list(there)}", "use one of them"))


@dataclasses.dataclass(frozen=True)
class Restored:
    """state: name -> tree, as it was saved; position: what was saved with it."""

    step: int
    state: Mapping[str, Any]
    position: Mapping


class Checkpoints:
    """Those of a run in training: restores, then saves. A context manager; leaving it waits for the last save."""

    def __init__(self, folder: epath.Path, settings: CheckpointSettings):
        self._folder, self._settings = epath.Path(folder), settings
        self._saving: threading.Thread | None = None
        self._has_failed = self._sweeps = False
        self._manager = self._open(clean=True)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_) -> None:
        self.wait()
        self._close()

    def due(self, step: int) -> bool:
        return step % self._settings.every == 0

    def holds(self, step: int) -> bool:
        """Whether a checkpoint of this step is in place, once no save is under way."""
        self._settle()
        self._manager.reload()
        return step in self._manager.all_steps()

    def save(self, step: int, state: Mapping[str, Any], position: Mapping) -> None:
        """Begins to save; the arrays may be changed as soon as this returns.

        A save that fails (full disk, unreachable bucket) is logged as an error and costs this checkpoint, not the run.
        """
        rest = {name: tree for name, tree in state.items() if name not in PARAMETERS}
        items = {name: ocp.args.StandardSave(state[name]) for name in PARAMETERS}
        items |= {_REST: ocp.args.StandardSave(rest), _POSITION: ocp.args.JsonSave(dict(position))}
        self._settle()  # one save at a time
        if step in self._manager.all_steps():
            return  # a run that was continued at its very end
        try:
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)
        except Exception as error:  # the storage may raise anything; training goes on and the checkpoint before stays
            self._failed(step, error)
            return
        self._saving = threading.Thread(target=self._finish, args=(step,), name=f"checkpoint {step}")
        self._saving.start()

    def wait(self) -> None:
        """Until the save under way is on disk and sealed, or has failed and was logged."""
        if self._saving:
            self._saving.join()
            self._saving = None

    def _open(self, clean: bool) -> ocp.CheckpointManager:
        """A manager that knows what is on disk. clean: it removes what was half written, of which nothing may be written still:
        a folder that fills up again while it is removed is an error."""
        preserved = [LatestN(self._settings.latest)]
        if self._settings.keep_every:
            preserved.append(EveryNSteps(self._settings.keep_every))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=AnyPreservationPolicy(preserved),
            cleanup_tmp_directories=clean,
        )
        return ocp.CheckpointManager(self._folder, options=options, item_names=_ITEMS)

    def _close(self) -> None:
        """Waits for all that is under way. Each of its failures is raised once more, and is known by now."""
        for _ in range(_CLOSINGS):
            try:
                self._manager.close()
                return
            except Exception as error:
                logging.info("closing: %s", error)

    def _settle(self) -> None:
        """Waits, on all processes. A manager that has failed is left for a new one: it would tell the failure again within the
        next save, which then failed too, and keep what it half wrote on a disk that is full."""
        self.wait()
        if agreement.anywhere(self._has_failed):
            self._close()
            try:
                self._manager, self._has_failed = self._open(clean=False), False  # `_sweep` does, as far as it can
            except Exception as error:  # it is tried again before the next save
                logging.error("the checkpoints in %s cannot be opened: %s", self._folder, error)
        if self._sweeps and jax.process_index() == 0:
            self._sweep()

    def _sweep(self) -> None:
        """Removes what is half written while no save is under way: writers of a save that failed may outlive it for a moment."""
        try:
            for path in self._folder.iterdir():
                if ocp.utils.is_tmp_checkpoint(path):
                    path.rmtree()
        except Exception as error:  # of a bucket's client it may be anything
            logging.error("what is half written in %s cannot be removed: %s", self._folder, error)

    def restore(self, abstract: Mapping[str, Any]) -> Restored | None:
        """The newest whole checkpoint, laid out as `abstract` (name -> tree of ShapeDtypeStruct with shardings); None if
        there is no checkpoint at all. What was passed over is logged and moved to `damaged/` beside the folder.

        Raises Refusal if there are checkpoints but none is whole, and for one of another model; Fault, on all processes, if a
        checkpoint that is not known to be damaged cannot be read on one of them. One without a seal counts as damaged where its
        files can be read, it cannot, and an older one can.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        passed: dict[int, str] = {}
        unread: Fault | None = None
        for step in steps:
            wrong = damage.agreed(self._folder / str(step))
            if wrong is None:
                found = self._tried(step, abstract, unread)
                if isinstance(found, Restored):
                    self._put_aside(passed)
                    return found
                unread, why = unread or found, first_line(found.__cause__ or found)
                wrong = f"it has no seal and cannot be read, though all its files can ({why})"
            logging.error("checkpoint %s cannot be used, trying the one before: %s", self._folder / str(step), wrong)
            passed[step] = wrong
        if unread:  # where nothing can be read, nothing is judged
            raise unread
        if passed:
            raise Refusal(
                Problem(
                    str(self._folder / str(step)),
                    None,
                    f"cannot be used: {wrong}",
                    "restore it, or start in another folder",
                )
                for step, wrong in passed.items()
            )
        return None

    def _tried(self, step: int, abstract: Mapping[str, Any], unread: Fault | None) -> Restored | Fault:
        """What a checkpoint holds. Of one without a seal on a disk that gives all its files: why it cannot be read, twice.

        unread: why a newer one could not be, which is told if this one cannot either
        """
        folder = self._folder / str(step)
        try:
            return self._restored(step, abstract)
        except Fault as fault:
            if "://" in os.fspath(folder) or damage.sealed(folder):
                raise (unread or fault) from fault.__cause__
            damage.read_all(folder)
        try:
            return self._restored(step, abstract)
        except Fault as fault:
            return fault

    def _restored(self, step: int, abstract: Mapping[str, Any]) -> Restored:
        agreement.led(lambda: self._refuse_other(step, abstract))
        return agreement.together(lambda: self._read(step, abstract))

    def _refuse_other(self, step: int, abstract: Mapping[str, Any]) -> int:
        """Refuses a checkpoint that holds other arrays than `abstract`, by what it says of itself: no array is read."""
        folder = self._folder / str(step)
        with damage.reading(folder):
            stored = _stored(folder)
        if wrong := fit.misfit(stored, abstract):
            raise _foreign(folder, wrong)
        return 0

    def _read(self, step: int, abstract: Mapping[str, Any]) -> Restored:
        rest = {name: tree for name, tree in abstract.items() if name not in PARAMETERS}
        items = {name: ocp.args.StandardRestore(abstract[name]) for name in PARAMETERS}
        items |= {_REST: ocp.args.StandardRestore(rest), _POSITION: ocp.args.JsonRestore()}
        with damage.reading(self._folder / str(step)):
            found = self._manager.restore(step, args=ocp.args.Composite(**items))
        return Restored(step, {**{name: found[name] for name in PARAMETERS}, **found[_REST]}, found[_POSITION])

    def _put_aside(self, passed: Mapping[int, str]) -> None:
        """Out of the way of the steps that will be written again; not deleted, for it may yet be mended."""
        if passed and jax.process_index() == 0:
            damaged = self._folder.parent / "damaged"
            damaged.mkdir(exist_ok=True)
            for step in passed:
                target = next(t for n in range(1000) if not (t := damaged / f"{step}-{n}").exists())
                (self._folder / str(step)).rename(target)
        if passed:
            if jax.process_count() > 1:
                multihost_utils.sync_global_devices("damaged checkpoints were put aside")
            self._manager.reload()

    def _finish(self, step: int) -> None:
        """Behind a save: its failures are told at once, and a checkpoint that is in place is sealed."""
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
            if jax.process_index() == 0:
                seal.write(self._folder / str(step))
                logging.info("checkpoint %d is in place", step)
        except Exception as error:  # see `save`
            self._failed(step, error)

    def _failed(self, step: int, error: Exception) -> None:
        logging.error("CHECKPOINT %d WAS NOT SAVED, the one before it stays: %s", step, error)
        self._has_failed = self._sweeps = True


class CheckpointReader:
    """Another process's view of a run's checkpoints: only reads, and survives steps that are deleted."""

    def __init__(self, folder: epath.Path):
        self._folder = epath.Path(folder)

    def steps(self) -> list[int]:
        """Finished steps, oldest first. Raises OSError, as all that is asked here, if the storage fails."""
        with answered(self._folder):
            if not self._folder.exists():
                return []
            return sorted(
                int(path.name) for path in self._folder.iterdir() if path.name.isdigit() and self._whole(path)
            )

    def sealed(self, step: int) -> bool:
        """Whether all of a step is in place: its seal is written behind everything else, by the run and by most copies."""
        with answered(self._folder / str(step)):
            return seal.exists(self._folder / str(step))

    def mark(self, step: int) -> str | None:
        """Tells the checkpoint of a step from another one that was written under its number; None for one without a seal."""
        with answered(self._folder / str(step)):
            return seal.mark(self._folder / str(step))

    def written(self, step: int) -> str | None:
        """Changes when a step is written again: at the price of one request."""
        with answered(self._folder / str(step)):
            return seal.written(self._folder / str(step))

    def stamp(self, step: int) -> str:
        """Changes when files of a step change. Raises Vanished if it is gone."""
        try:
            with answered(self._folder / str(step)):
                return seal.stamp(self._folder / str(step))
        except FileNotFoundError as error:
            raise self._vanished(step) from error

    def latest(self, part: str | None = None) -> int | None:
        """The newest step that is not damaged, or of which one of its `PARAMETERS` is not."""
        for step in reversed(self.steps()):
            with answered(self._folder / str(step)):
                wrong = seal.damage(self._folder / str(step), part)
            if wrong is None:
                return step
            logging.error("checkpoint %s cannot be used, trying the one before: %s", self._folder / str(step), wrong)
        return None

    def restore_parameters(self, step: int, abstract: Any, which: str = "ema") -> Any:
        """The tree of parameters, laid out as `abstract`, on one device of this process where that does not say; which:
        "parameters", or "ema" for their running average.

        Raises Vanished if the step is gone, Refusal if it is damaged or of another model, OSError if the storage fails, which it
        may not do the next time.
        """

        def read(folder: epath.Path) -> Any:
            return _restore(folder / which, jax.tree.map(_placed, abstract))

        return self._read(step, which, abstract, read)

    def restore_state(self, step: int, abstract: Mapping[str, Any]) -> Restored:
        """All of a checkpoint, laid out as `abstract` (as `Checkpoints.restore` takes it). Raises as `restore_parameters`."""

        def read(folder: epath.Path) -> Restored:
            rest = {name: tree for name, tree in abstract.items() if name not in PARAMETERS}
            state = {name: _restore(folder / name, abstract[name]) for name in PARAMETERS}
            with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
                position = checkpointer.restore(folder / _POSITION)
            return Restored(step, state | _restore(folder / _REST, rest), position)

        return self._read(step, None, abstract, read)

    def _read(self, step: int, part: str | None, wanted: Any, read: Callable[[epath.Path], Any]) -> Any:
        """part: the item that is read, and looked at for damage (of the rest, three times as much, nothing is); None for all;
        wanted: its arrays. Whether they are other ones, a checkpoint says itself: no failure to read them does."""
        folder = self._folder / str(step)
        if step not in self.steps():
            raise self._vanished(step)
        try:
            with answered(folder):
                wrong = seal.damage(folder, part)
                if wrong is None:
                    held = _stored(folder) if part is None else _held(folder / part)
                    if misfit := fit.misfit(held, wanted, dtypes=False):
                        raise _foreign(folder, misfit)
                    return read(folder)
        except (OSError, Refusal) as error:
            if not exists(folder):
                raise self._vanished(step) from error
            if isinstance(error, FileNotFoundError):  # which a copy left out
                raise _foreign(folder, first_line(error)) from error
            raise
        if not exists(folder):
            raise self._vanished(step)
        raise Refusal(Problem(str(folder), None, f"is damaged: {wrong}", "restore it, or use another step"))

    def _vanished(self, step: int) -> Vanished:
        return Vanished(self._folder, step, self.steps())

    @staticmethod
    def _whole(path: epath.Path) -> bool:
        try:
            return ocp.utils.is_checkpoint_finalized(path) and (path / _POSITION).exists()
        except (OSError, ValueError):  # deleted since its folder was listed
            return False


def _stored(folder: epath.Path) -> dict[str, Any]:
    """What a checkpoint says of all its arrays, as `Checkpoints.save` got them: no array is read."""
    return {name: _held(folder / name) for name in PARAMETERS} | _held(folder / _REST)


def _held(item: epath.Path) -> Any:
    return ocp.StandardCheckpointHandler().metadata(item).tree


def _restore(item: epath.Path, abstract: Any) -> Any:
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(item, abstract)


def _placed(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """A shape with a place: without one Orbax wants the devices of the run that wrote it."""
    if leaf.sharding is not None:
        return leaf
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)


def _foreign(folder: epath.Path, wrong: str) -> Refusal:
    reason = f"does not fit this model ({wrong})"
    return Refusal(Problem(str(folder), None, reason, "use the settings of the run that wrote it"))
