"""Pages of HTML with nothing outside of them, from templates that share a frame. Extra `report` (jinja2, matplotlib)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mdm.problems import Problem, Refusal

if TYPE_CHECKING:
    import jinja2

_FRAME = Path(__file__).parent


def require() -> None:
    """Raises Refusal, naming the extra, if a package is missing."""
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(Problem("the report", missing, "is not installed", "pip install 'mdm[report]'"))


def template(path: Path, filters: Mapping[str, Callable] | None = None) -> jinja2.Template:
    """The template in a file, which may extend `frame.html.j2`; filters by name. In one of HTML every value is escaped, except
    for our own plots, which are marked as safe. Raises Refusal, naming the extra, if a package is missing."""
    require()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, _FRAME]),
        autoescape=path.name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    return environment.get_template(path.name)
