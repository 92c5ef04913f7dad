"""How a canvas is written, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import inspect
import re

from mdm.problems import Problem, Refusal, collecting
from mdm.sampling.grids import GRIDS, LOOP, TRAINED, is_loop, ratios
from mdm.sampling.guidance import parse_schedule
from mdm.sampling.kept import CACHES
from mdm.sampling.orders import ORDERS
from mdm.sampling.remasking import NONE, parse_remask
from mdm.sampling.tokens import TokenRule
from mdm.tokens.tasks import Task

DRAWN, EXPECTED = ROOMS = ("drawn", "expected")
_MOST = 1_000_000  # of steps, positions, symbols: more than any row has, and a plan of so many steps is made in seconds

# "name, name: what it is", with lines that go on indented.
_ENTRY = re.compile(r"^([a-z_]+(?:, [a-z_]+)*): +(.+(?:\n +.+)*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class SamplerSettings:
    """How a canvas is written. What is said here of a field is also the help of its flag (`meanings`).

    order:       which masked positions are uncovered (`orders`): ancestral, random, confidence, margin or entropy, on a grid;
                 first-hitting, entropy-bounded or threshold
    grid:        the masked share over the steps: "uniform", "cosine", the name of a noise schedule, "loop" (`grids`; with
                 remask), or "trained", which `TrainedModel` replaces by the schedule that the task was trained with, "linear"
                 for an adaptive one; orders without a grid ignore it and `steps`
    steps:       most steps of a block, the whole row being one if `block` is 0; a row ends as soon as nothing is masked
    temperature, top_k, top_p, min_p: the token rule (`tokens.TokenRule`)
    guidance:    unguided + guidance * (conditional - unguided); 1 is no guidance and costs one branch, not two
    guidance_schedule: which part of the guidance is in force, by the share that is masked (`guidance`): constant, linear, or
                 interval-0.2-0.8
    noise:       Gumbel noise on the certainty, times this and the share of steps to come; only confidence, margin, entropy
    threshold:   probability from which order "threshold" commits
    entropy_bound: nats that drawing apart may cost in a step of order "entropy-bounded"
    block:       target positions of a block, written left to right; 0 is all at once
    remask:      how written positions are masked again (`remasking`): "none", "cap", "rescale", "conf", or one of these in a part
                 of the time, as "cap-0-0.55"; needs an order with a grid, and takes all its steps
    eta:         how strongly `remask` does so, in (0, 1]
    corrector:   share of what is written that a corrector after each step masks and writes again; 0 is none
    reuse:       draws are kept, without a network call, as long as no row changes; the result is the same
    cache:       "none", or where keys and values are kept while a block is written: "prefix", before the block, or "dual",
                 on both sides of it (Fast-dLLM)
    refresh:     steps after which a cache is made anew, besides at the beginning of each block; 0 is only there, 1 no cache
    room:        positions of a text or sound whose length is not given: "drawn" for each seed as rows of training are laid out,
                 or "expected", what training documents have on average; it ends in them, or fills them
    """

    order: str = "ancestral"
    grid: str = "uniform"
    steps: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    guidance: float = 1.0
    guidance_schedule: str = "constant"
    noise: float = 0.0
    threshold: float = 0.9
    entropy_bound: float = 0.1
    block: int = 0
    remask: str = "none"
    eta: float = 0.2
    corrector: float = 0.0
    reuse: bool = True
    cache: str = "none"
    refresh: int = 0
    room: str = DRAWN

    @property
    def rule(self) -> TokenRule:
        return TokenRule(self.temperature, self.top_k, self.top_p, self.min_p)

    def room_seed(self, seed: int) -> int | None:
        """By what the room of a sample is drawn, None for what is expected."""
        return seed if self.room == DRAWN else None

    @property
    def rewrites(self) -> bool:
        """Whether a written position may be masked again."""
        return self.remask != NONE or self.corrector > 0

    def on_schedule(self, schedule: str) -> SamplerSettings:
        """With the noise schedule that a task was trained with in place of "trained"."""
        return dataclasses.replace(self, grid=schedule) if self.grid == TRAINED else self

    def problems(self, at: str, task: Task | None = None) -> list[Problem]:
        """What is wrong with them, for `task` if it is named."""
        found = [*self._named(at), *self._counted(at), *self._measured(at)]
        if task and self.guidance != 1 and not task.conditions:
            reason = f"{task.name} has no condition to be guided by"
            found.append(Problem(f"{at}.guidance", self.guidance, reason, "use 1, or a task with a condition"))
        return found

    def _named(self, at: str) -> list[Problem]:
        found = []
        if self.order not in ORDERS:
            found.append(Problem(f"{at}.order", self.order, "unknown", f"use one of {tuple(ORDERS)}"))
        try:
            if self.grid != TRAINED:
                ratios(self.grid, 1)
        except Refusal:
            remedy = f"use one of {(*GRIDS, LOOP, TRAINED)}, loop-<on>-<off>-<written>, or the name of a noise schedule"
            found.append(Problem(f"{at}.grid", self.grid, "unknown", remedy))
        with collecting(found):
            parse_schedule(self.guidance_schedule, f"{at}.guidance_schedule")
        with collecting(found):
            parse_remask(self.remask, f"{at}.remask")
        if is_loop(self.grid) and self.remask == NONE:
            remedy = "set remask, the paper's is cap-0.05-0.55, or name another grid"
            found.append(Problem(f"{at}.grid", self.grid, "stands still where nothing is masked again", remedy))
        for key, legal in (("cache", CACHES), ("room", ROOMS)):
            if getattr(self, key) not in legal:
                found.append(Problem(f"{at}.{key}", getattr(self, key), "unknown", f"use one of {tuple(legal)}"))
        if self.cache in CACHES[1:] and not self.block:
            remedy = "set block, 32 is usual, or cache to none"
            found.append(
                Problem(f"{at}.cache", self.cache, "keeps what is outside of a block, and there are none", remedy)
            )
        if self.rewrites and self.order in ORDERS and not ORDERS[self.order].on_grid:
            remedy = f"use one of {tuple(name for name, order in ORDERS.items() if order.on_grid)}"
            found.append(Problem(f"{at}.order", self.order, "has no grid that says what may be masked again", remedy))
        return found

    def _counted(self, at: str) -> list[Problem]:
        return [
            Problem(f"{at}.{key}", value, f"is not a whole number from {low} to {_MOST}", usual)
            for key, low, usual in (
                ("steps", 1, "16 to 128 is usual"),
                ("top_k", 0, "0 keeps every symbol"),
                ("block", 0, "0 writes the whole row at once, 32 is usual"),
                ("refresh", 0, "0 makes a cache at the beginning of each block only"),
            )
            if type(value := getattr(self, key)) is not int or not low <= value <= _MOST
        ]

    def _measured(self, at: str) -> list[Problem]:
        found = []
        # Below 1e-3 logits of ordinary size leave float32 when divided; 0 is what is meant.
        if self.temperature != 0 and not 1e-3 <= self.temperature <= 100:
            reason, remedy = "neither 0 nor in [0.001, 100]", "1 is the model's own, 0 takes the likeliest symbol"
            found.append(Problem(f"{at}.temperature", self.temperature, reason, remedy))
        if not 0 < self.top_p <= 1:
            found.append(Problem(f"{at}.top_p", self.top_p, "outside (0, 1]", "1 keeps every symbol"))
        if not 0 <= self.min_p <= 1:
            found.append(Problem(f"{at}.min_p", self.min_p, "outside [0, 1]", "0 keeps every symbol"))
        if not 0 < self.threshold <= 1:
            found.append(Problem(f"{at}.threshold", self.threshold, "outside (0, 1]", "0.9 is usual"))
        if not 0 < self.eta <= 1:
            found.append(Problem(f"{at}.eta", self.eta, "outside (0, 1]", "0.02 to 0.5 is usual; remask none for 0"))
        if not 0 <= self.corrector < 1:
            found.append(
                Problem(f"{at}.corrector", self.corrector, "outside [0, 1)", "0 is none, 0.05 to 0.2 is usual")
            )
        # Beyond these, logits and certainties of ordinary size no longer count beside them, or leave float32.
        for key, most, usual in (
            ("guidance", 100, "1 is none, 2 to 6 is usual"),
            ("noise", 1000, "0 is none, 4.5 is usual"),
            ("entropy_bound", 1e6, "0 uncovers one position a step, 0.01 to 1 is usual"),
        ):
            if not 0 <= getattr(self, key) <= most:
                found.append(Problem(f"{at}.{key}", getattr(self, key), f"is not a number from 0 to {most:g}", usual))
        return found


def meanings() -> dict[str, str]:
    """What each field of `SamplerSettings` is, from its docstring, or from `TokenRule`'s for what is passed on to it."""
    found = {}
    for owner in (SamplerSettings, TokenRule):
        for names, text in _ENTRY.findall(inspect.cleandoc(owner.__doc__)):
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found
