"""A run explains itself: what is in its folder, for a person. Only reads."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from etils import epath

from mdm.columns import columns
from mdm.problems import Problem, Refusal, collecting
from mdm.runs import goodput, log, starts
from mdm.runs.checkpoint import CheckpointReader
from mdm.runs.folder import RunFolder
from mdm.runs.starts import Start

_STARTS = 20  # newest ones that are shown


def describe(folder: RunFolder) -> str:
    """All about a run, and first of all which of its files cannot be read. Raises Refusal if there is no run."""
    problems: list[Problem] = []
    own = starts.read(folder, problems.append)
    if not folder.config.exists() and not own and not problems:
        remedy = "check the path: a run folder is made by `python -m mdm.train`"
        raise Refusal(Problem(str(folder.path), None, "holds no run", remedy))
    end, settings = None, None
    with collecting(problems):
        end = folder.read_end()
    if folder.config.exists():  # not before the run has taken its settings: earlier starts have failed
        with collecting(problems):
            settings = folder.read_json(folder.config)
    parts = [("What cannot be read", "\n".join(map(str, problems)))] if problems else []
    parts.append(("Where it stands", _standing(folder, end, own)))
    if own:
        newest = folder.start(own[-1].number)
        parts += [
            ("Starts", _starts(own)),
            ("Where its time went", goodput.report(own)),
            ("What the newest start was made with", _made(newest / "made.json")),
            ("Where every parameter lies", _text(newest / "placement.txt")),
        ]
    if settings is not None:
        parts.append(("Settings", columns(list(_flat(settings)))))
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" for title, text in parts)


def _standing(folder: RunFolder, end: Mapping | None, own: tuple[Start, ...]) -> str:
    lines = log.read(folder)
    steps = CheckpointReader(folder.checkpoints).steps()
    facts = [("folder", str(folder.path)), ("state", _state(folder, end, own))]
    if lines:
        numbers = {key: value for key, value in lines[-1].items() if isinstance(value, (int, float))}
        shown = [key for key in ("step", "tokens", "loss", "tokens_per_second", "updates_skipped") if key in numbers]
        facts.append(("last line of the log", ", ".join(f"{key} {numbers[key]:,.6g}" for key in shown)))
    facts.append(("whole checkpoints", ", ".join(map(str, steps)) or "none"))
    damaged = folder.path / "damaged"
    if damaged.exists():
        facts.append(("put aside as damaged", ", ".join(sorted(path.name for path in damaged.iterdir()))))
    if own:
        stacks = sorted(str(path) for start in own for path in folder.start(start.number).glob("stacks-*.txt"))
        facts.append(("log", str(folder.start(own[-1].number) / "log-0.txt")))
        facts += [("stacks of a hung process", path) for path in stacks]
    return columns(facts)


def _state(folder: RunFolder, end: Mapping | None, own: tuple[Start, ...]) -> str:
    if end:
        return f"ended at step {end['step']}: {end['reason']}"
    if not own:
        return "not started by this version"
    passed = time.time() - own[-1].alive
    when = f"{_ago(passed)} ago" if passed >= 0 else f"{_ago(-passed)} ahead of this host's clock"
    ago = f"last sign of life {when}, at step {own[-1].reached}"
    if own[-1].code is not None:
        return f"stopped with {own[-1].told}; {ago}"
    return f"{_whether_it_runs(folder)}; {ago}"


def _whether_it_runs(folder: RunFolder) -> str:
    """By who held the run last. The lock itself is not touched: a reader must not be in the way of a job that starts."""
    try:
        holder = json.loads(folder.lock.read_text())
        host, process = str(holder["host"]), int(holder["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "running, or killed"
    if host != socket.gethostname():
        return f"running on {host}, or killed there"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return "not running, and it did not say why"
    except PermissionError:
        pass  # it is there, and another user's
    return f"running, process {process} of this host"


def _starts(own: tuple[Start, ...]) -> str:
    rows = [("start", "host", "began", "lasted", "from step", "to step", "ended")]
    for start in own[-_STARTS:]:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(start.began))
        restored = "-" if start.restored is None else str(start.restored)
        rows.append((str(start.number), start.host, began, _ago(max(start.alive - start.began, 0.0)), restored,
                     str(start.reached), start.told))  # fmt: skip
    left_out = len(own) - len(own[-_STARTS:])
    return columns(rows) + (f"\nand {left_out} before" if left_out else "")


def _made(path: epath.Path) -> str:
    try:
        made = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return f"not known ({error})"
    return columns(list(_flat(made)))


def _text(path: epath.Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace").rstrip()
    except OSError:
        return "not known: it did not come so far"


def _flat(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """A tree of settings as lines of name and value."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{at}.{key}" if at else str(key))
    else:
        yield at, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
