"""The starts of a run: each writes down how far it came, and what its time went into.

starts/N/start.json   a `Start`, written anew as it goes on
starts/N/made.json    what it was made with: command, versions, commit, devices
starts/N/             placement.txt; of each process P log-P.txt and, if it hung, stacks-P.txt
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from absl import logging
from etils import epath

from mdm import atomic, exits
from mdm.problems import Problem, Refusal, collecting, unwritable
from mdm.runs import agreement
from mdm.runs.folder import RunFolder
from mdm.runs.lock import Lock

_FILE = "start.json"
_UNSAID = (
    None,
    exits.FAULT,
    exits.HUNG,
)  # ends that a further start may meet again; the others have told whoever has to act
_ENDING = (exits.DIVERGED, exits.STUCK)  # of the run too; what is refused is mended and started again


class Stuck(Refusal):
    """Raised when start after start brings no new step."""

    code = exits.STUCK


@dataclasses.dataclass(frozen=True)
class Start:
    """number: from 1; began, alive: Unix seconds of its begin and of its last sign of life; restored: steps that were behind
    it when it began to train, None if it did not come so far; reached: the newest step that it is known to have finished;
    seconds: by what they went into (`mdm.training.clock`); code, reason: how it ended, None and "" if it did not say."""

    number: int
    host: str
    began: float
    alive: float
    restored: int | None = None
    reached: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    code: int | None = None
    reason: str = ""

    @property
    def told(self) -> str:
        """How it ended, for a person."""
        return "did not say" if self.code is None else f"code {self.code}: {self.reason}"


def _warn(problem: Problem) -> None:
    logging.warning("%s", problem)


def read(folder: RunFolder, tell: Callable[[Problem], None] = _warn) -> tuple[Start, ...]:
    """All starts of a run, oldest first. One that cannot be read (its process was killed before it wrote, its file is damaged) is
    left out, and told."""
    if not folder.starts.exists():
        return ()
    found = []
    for number in sorted(int(path.name) for path in folder.starts.iterdir() if path.name.isdigit()):
        file = folder.start(number) / _FILE
        try:
            found.append(_checked(Start(**json.loads(file.read_bytes())), number))
        except Exception as error:  # also of a bucket that does not answer
            tell(Problem(str(file), None, f"cannot be read ({error})", "it is left out; remove it to be told no more"))
    return tuple(found)


def _checked(start: Start, number: int) -> Start:
    """Raises ValueError, naming the field, for what the start of this number has not written."""
    kinds = {
        "number": int, "host": str, "began": float, "alive": float, "restored": int | None, "reached": int, "seconds": dict,
        "code": int | None, "reason": str,
    }  # fmt: skip
    values = {**vars(start), **{f"seconds.{what}": value for what, value in dict(start.seconds).items()}}
    for name, value in values.items():
        kind = kinds[name] if name in kinds else float
        fits = _is_finite(value) if kind is float else isinstance(value, kind) and not isinstance(value, bool)
        if not fits or (name == "number" and value != number):
            raise ValueError(f"{name} is {value!r}")
    return start


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def stuck(starts: Sequence[Start], most: int) -> Problem | None:
    """Why it makes no sense to start again: the last `most` starts (0: any number is allowed) brought no new step and ended
    without saying what to do. A start that was refused for it counts as said: whoever starts again then has mended something.

    New is what lies behind all that earlier starts reached from the same checkpoint. One that goes on from a newer one or, where
    that is damaged, an older one counts from there: steps that went with a checkpoint have to be made again.
    """
    best, row, restored = 0, 0, None
    for start in starts:
        if start.restored not in (None, restored):
            best = restored = start.restored
        fruitless = start.reached <= best and start.code in _UNSAID
        row = row + 1 if fruitless else 0
        best = max(best, start.reached)
    if not most or row < most:
        return None
    last = starts[-1]
    reason = f"{row} starts in a row brought no step behind {best}; the last one, on {last.host}, ended: {last.told}"
    return Problem(f"start {last.number}", None, reason, f"look into starts/{last.number}, mend it, and start again")


def reached(starts: Sequence[Start]) -> int:
    """The newest step that a run has finished: of its last start that came to one."""
    return next((start.reached for start in reversed(starts) if start.reached or start.restored is not None), 0)


class Starting:
    """The start that this process is. Only process 0 writes, and knows the earlier ones; a write that fails is logged and costs
    nothing else."""

    def __init__(self, folder: RunFolder, number: int):
        self._run = folder
        self.folder = folder.start(number)
        self.now = _new(number)
        self._next = folder.start(number + 1) / _FILE
        self._ended: tuple[str, int] | None = None
        self._write_now()
        self.earlier = tuple(start for start in read(folder) if start.number < number) if agreement.leads() else ()

    def update(self, **changes) -> None:
        """Writes down fields of `Start` that have changed, and that the process is alive."""
        self.now = dataclasses.replace(self.now, alive=time.time(), **changes)
        self._write_now()

    def write_made(self, made: Mapping) -> None:
        """made: as `mdm.runs.making` gives it."""
        self._write(self.folder / "made.json", json.dumps(made, indent=1, ensure_ascii=False))

    def mark_end(self) -> None:
        """Says that the run has ended with this start, to evaluators that follow; a start that goes on takes that back."""
        if not agreement.leads() or self._run.end.exists():  # an end before this start, which has changed nothing
            return
        self._mark_end(self.now.told, reached((*self.earlier, self.now)))

    def clear_end(self) -> None:
        """Takes back, as early as the run is held, that it has ended: an evaluator that is started beside this process would end
        with an earlier start. A damaged mark is none."""
        if not agreement.leads():
            return
        with collecting([]), contextlib.suppress(KeyError, TypeError):
            if end := self._run.read_end():
                self._ended = end["reason"], end["step"]
        self._run.clear_end()

    def goes_on(self) -> None:
        """The run takes this start: an end before it is past."""
        self._ended = None

    def restore_end(self) -> None:
        """What was refused has changed nothing: a run that had ended before has ended still, if no later start goes on."""
        if self._ended is None or self.superseded():
            return
        self._mark_end(*self._ended)

    def _mark_end(self, reason: str, step: int) -> None:
        try:
            self._run.mark_end(reason, step)
        except Exception as error:  # of a bucket's client it may be anything
            logging.error("%s was not written: %s", self._run.end, error)

    def write_placement(self, table: str) -> None:
        """table: where every parameter lies, for a person."""
        self._write(self.folder / "placement.txt", table + "\n")

    def _write_now(self) -> None:
        self._write(self.folder / _FILE, _text(self.now), lasting=self.now.code is not None)

    def superseded(self) -> bool:
        """Whether a later start of the run has begun while this one goes on: two jobs on one folder, where no lock kept them
        apart, or what is left of a job that was started again elsewhere. Process 0 knows."""
        try:
            return agreement.leads() and self._next.exists()
        except Exception as error:  # whatever is to be written will tell
            logging.error("%s cannot be asked for: %s", self._next, error)
            return False

    def refuse_superseded(self) -> None:
        """Call it on all processes before anything is written over what a later start may have written. Raises Refusal."""
        agreement.led(self._go_on)

    def _go_on(self) -> int:
        if self.superseded():
            reason = "a later start of this run has begun, here or on another machine: this one writes nothing any more"
            raise Refusal(Problem(str(self._next), None, reason, "end one of the two jobs"))
        return 0

    @staticmethod
    def _write(path: epath.Path, text: str, *, lasting: bool = True) -> None:
        if not agreement.leads():
            return
        try:
            atomic.write_text(path, text, lasting=lasting)
        except Exception as error:  # of a bucket's client it may be anything
            logging.error("%s was not written: %s", path, error)


@contextlib.contextmanager
def begin(folder: RunFolder, most: int, taken: Callable[[int], None] = lambda number: None) -> Iterator[Starting]:
    """A start of the run in `folder`, which is made and held until it ends. Call it on all processes.

    taken: is told the number on process 0, before any other process is waited for
    Raises Refusal if the folder cannot be written or another job holds it; Stuck after `most` starts without a new step.
    """
    with contextlib.ExitStack() as held:

        def take() -> int:
            number = _open(folder, held)
            taken(number)
            return number

        starting = Starting(folder, agreement.led(take))
        with _recorded(starting):
            agreement.led(lambda: _go(starting, most))
            yield starting


def hung(folder: RunFolder, most: int, since: float, reason: str, number: int | None) -> tuple[int, epath.Path | None]:
    """Takes down a start that hangs before it has begun: on process 0, or where a number was taken. It asks for no devices, since
    what hangs may hold JAX's lock.

    since: Unix seconds at which it was begun; number: that it has taken, None if it has none. The result is the code with which
    its process is to end, on all processes the same (STUCK behind `most` starts without a new step, as `begin`), and the folder
    of the start, None where nothing was taken down. Raises Refusal if the folder cannot be written or another job holds it.
    """
    with contextlib.ExitStack() as held:
        # Not by number: to the other processes of this start the number of process 0 is a later one.
        earlier = [start for start in read(folder) if start.began < since and start.number != number]
        why = stuck(earlier, most)
        code, reason = (Stuck.code, str(why)) if why else (exits.HUNG, reason)
        if number is None and not agreement.first():
            return code, None
        number = number or _open(folder, held)
        end = dataclasses.replace(_new(number), code=code, reason=reason)
        atomic.write_text(folder.start(number) / _FILE, _text(end))
        if code in _ENDING and not folder.end.exists():
            folder.mark_end(end.told, reached(earlier))
        return code, folder.start(number)


def _open(folder: RunFolder, held: contextlib.ExitStack) -> int:
    folder.create()
    held.enter_context(Lock(folder))
    numbers = (
        [int(path.name) for path in folder.starts.iterdir() if path.name.isdigit()] if folder.starts.exists() else []
    )
    number = max(numbers, default=0) + 1
    while not _taken(folder, number):
        number += 1  # another one took it just now: where no lock holds, the newest start goes on
    return number


def _taken(folder: RunFolder, number: int) -> bool:
    """Whether this process got the number: of those that try, one does."""
    try:
        folder.start(number).mkdir(parents=True, exist_ok=True)
        atomic.create(folder.start(number) / _FILE, _text(_new(number)))
    except FileExistsError:
        return False
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.start(number).rmdir()  # if it is empty: a number that nobody has taken
        file = str(folder.start(number) / _FILE)
        raise unwritable(file, "cannot be written", error, "make the folder writable, or use another") from error
    return True


def _new(number: int) -> Start:
    now = time.time()
    return Start(number, socket.gethostname(), now, now)


def _text(start: Start) -> str:
    return json.dumps(dataclasses.asdict(start), indent=1, ensure_ascii=False)


def _go(starting: Starting, most: int) -> int:
    if why := stuck(starting.earlier, most):
        raise Stuck(why)
    starting.clear_end()
    return 0


@contextlib.contextmanager
def _recorded(starting: Starting) -> Iterator[None]:
    """Writes down how it ends, and that the run has ended if that is so."""
    try:
        yield
    except Refusal as error:
        starting.restore_end()
        _failed(starting, error.code, str(error.problems[0]))
        raise
    except Exception as error:
        _failed(starting, exits.code_of(error), f"{type(error).__name__}: {error}"[:500])
        raise
    starting.update(code=0, reason="token budget reached")


def _failed(starting: Starting, code: int, reason: str) -> None:
    starting.update(code=code, reason=reason)
    if code in _ENDING:
        starting.mark_end()
