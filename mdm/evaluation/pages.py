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


def require(path: str | None = None) -> None:
    """Raises Refusal, naming the extra, if a package is missing, and if there is no place for a page at `path`."""
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refusal(Problem("the report", missing, "is not installed", "pip install 'mdm[report]'"))
    if path is None or "://" in path:
        return
    if not Path(path).absolute().parent.is_dir():
        raise Refusal(Problem("the report", path, "there is no such folder", f"mkdir -p {Path(path).parent}"))
    if Path(path).is_dir():
        raise Refusal(Problem("the report", path, "is a folder", "name a file in it"))


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
