"""mdm: tri-modal masked diffusion models on JAX. `mdm.load(workdir)` opens a trained one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdm.door import Model


def load(workdir: str, step: int | None = None, *, weights: str = "ema", attention: str | None = None) -> Model:
    """The model of a run folder, local or `gs://`: generates, scores, is exported. The run is only read.

    step:      checkpoint; by default the newest whole one
    weights:   "ema", or "parameters" for those that were being trained
    attention: name of the kernel; by default that of the run where it runs here, and blockwise where it does not
    Raises `mdm.problems.Refusal` naming what is missing, damaged or unknown.
    """
    from mdm.door import Model  # JAX is imported by whoever loads a model, not by `import mdm`

    return Model.load(workdir, step, weights=weights, attention=attention)
