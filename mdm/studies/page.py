"""The page of a study, as Markdown and as one HTML file with nothing outside of it. Needs the extra `report`.

Made anew from what is finished, at any time.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdm import atomic, checkout
from mdm.evaluation import pages
from mdm.evaluation.result import versions
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial
from mdm.studies.rows import SEED, Row, groups, mean
from mdm.studies.study import Study

_HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Table:
    """Means over seeds. header, cells: text."""

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def write(
    study: Study, trials: Sequence[Trial], rows: Sequence[Row], folder: StudyFolder, command: str, expected: int
) -> None:
    """Writes results.md with its figures, and results.html.

    rows:     of the trials that are finished
    command:  that makes the page again
    expected: trials that the study has when it is finished
    Raises Refusal, naming the extra, if a package is missing.
    """
    markdown = pages.template(_HERE / "results.md.j2", {"cell": _cell})
    page = pages.template(_HERE / "results.html.j2")
    import markupsafe

    from mdm.studies import plots

    findings = [analysis.find(rows) for analysis in study.analyses]
    drawn = [plots.draw(finding.chart) if finding.chart else "" for finding in findings]
    folder.figures.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}.svg" for number, _ in enumerate(drawn)]
    for name, figure in zip(names, drawn, strict=True):
        if figure:
            atomic.write_text(folder.figures / name, figure, shared=folder.local)
    facts: dict[str, Any] = {
        "study": study, "table": table(study, rows), "finished": len(rows), "missing": expected - len(rows),
        "diverged": sum(row.diverged for row in rows), "command": command, "made_with": _made_with(folder, trials),
    }  # fmt: skip
    shown = [
        (finding, f"figures/{name}" if figure else "")
        for finding, name, figure in zip(findings, names, drawn, strict=True)
    ]
    atomic.write_text(folder.markdown, markdown.render(findings=shown, **facts), shared=folder.local)
    # Our own plots; everything else on the page is escaped.
    shown = [(finding, markupsafe.Markup(figure)) for finding, figure in zip(findings, drawn, strict=True)]
    atomic.write_text(folder.page, page.render(findings=shown, **facts), shared=folder.local)


def table(study: Study, rows: Sequence[Row]) -> Table:
    """A line for each combination of levels: mean and standard error over seeds, and how many there are."""
    axes = tuple(axis for axis in study.axis_names if axis != SEED)
    cells = []
    for cell, own in groups(rows, axes).items():
        means = [mean([row.value(name) for row in own]) for name in study.metrics]
        cells.append((*cell, *map(str, means), str(len(own))))
    return Table((*axes, *study.metrics, "n"), tuple(cells))


def _made_with(folder: StudyFolder, trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """Versions, commits, devices and data of the trials: more than one of a kind is worth a look."""
    results = [result for trial in trials if (result := folder.read_result(trial.id)) is not None]
    kinds: Mapping[str, list[str]] = {
        "commit": [result["commit"] for result in results],
        "versions": [", ".join(f"{k} {v}" for k, v in result["versions"].items()) for result in results],
        "device": [result["device"] for result in results],
        "data": [data for result in results for data in result["data"]],
    }
    own = ", ".join(f"{name} {version}" for name, version in versions().items())
    made = [(name, "; ".join(dict.fromkeys(values))) for name, values in kinds.items() if values]
    return [*made, ("page", f"commit {checkout.commit()}, {own}, Python {platform.python_version()}")]


def _cell(text: str) -> str:
    """For a Markdown table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
