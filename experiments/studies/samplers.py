"""Which sampler for which task? One setting after another is changed from a start that the literature suggests.

    python -m mdm.study --study=experiments/studies/samplers.py:text-to-image --run=runs/demo_long/run \\
        --data=runs/demo_long/data --workdir=runs/studies/samplers/text-to-image --jobs=2

The argument is the task. A level is named after all that it changes. Every level stands beside "one a step", which uncovers one
position a network call; where the start does so already, it is "as it was". Each seed takes documents of its own.
"""

import dataclasses

from mdm.evaluation.measures.pictures import PICTURE_DISTANCES
from mdm.evaluation.measures.speech import SPEECH_DISTANCES
from mdm.sampling.settings import SamplerSettings
from mdm.studies.analyses.comparison import Comparison
from mdm.studies.study import Axis, Study
from mdm.studies.work import SAMPLING

START, ONE = "as it was", "one a step"
KEPT = ", the rest kept"  # keys and values of both sides of a block, made anew for the next one
# One position a step: the surest where a picture is judged by its own, any where the model's own spread is wanted (confidence
# would take silence and frequent words first).
SUREST = {"order": "confidence", "grid": "uniform", "steps": 512, "noise": 0.0}
ANY = {"order": "first-hitting"}

# Where each task starts from, from the literature on other models; what the sweep has left of it is `mdm.sampling.defaults`.
# LLaDA's public code: 128 steps, temperature 0, one token a step on its canvas of 128. One answer is right, so of lengths the
# expected one.
_TRANSCRIPT = SamplerSettings(order="confidence", grid="uniform", steps=128, temperature=0.0, room="expected")
STARTS = {
    # Ancestral, as the ELBO assumes; nucleus 0.9 as in ReMDM's text results (arXiv 2503.00307).
    "text": SamplerSettings(order="ancestral", grid="uniform", steps=128, top_p=0.9),
    # MaskGIT: cosine, confidence with noise 4.5, temperature 1; 32 steps; guidance 3, the low end of the usual 3 to 6.
    "text-to-image": SamplerSettings(order="confidence", grid="cosine", steps=32, noise=4.5, guidance=3.0),
    "image-to-text": _TRANSCRIPT,
    # Cosine as a time grid helps few ancestral steps (MD4, arXiv 2406.04329).
    "joint-image-text": SamplerSettings(order="ancestral", grid="cosine", steps=64, top_p=0.95),
    # Confidence in 64 steps, guidance 2: the middle of the usual 1.5 to 3 for speech.
    "text-to-speech": SamplerSettings(order="confidence", grid="cosine", steps=64, noise=1.0, guidance=2.0),
    "speech-to-text": _TRANSCRIPT,
    "joint-audio-text": SamplerSettings(order="ancestral", grid="cosine", steps=64, top_p=0.95),
}

# Changes to the start of each task, by label.
PAINT = {
    "ancestral": {"order": "ancestral"},
    "ancestral, top-p 0.95": {"order": "ancestral", "top_p": 0.95},
    "no noise": {"noise": 0.0},
    "noise 1": {"noise": 1.0},
    "noise 10": {"noise": 10.0},
    "16 steps": {"steps": 16},
    "64 steps": {"steps": 64},
    "uniform grid": {"grid": "uniform"},
    "guidance 1": {"guidance": 1.0},
    "guidance 2": {"guidance": 2.0},
    "guidance 5": {"guidance": 5.0},
    "guidance rises": {"guidance_schedule": "linear"},
    "temperature 0.8": {"temperature": 0.8},
    "remasking, conf": {"remask": "conf", "eta": 0.2},
    "corrector 0.1": {"corrector": 0.1},
    "entropy-bounded 1": {"order": "entropy-bounded", "entropy_bound": 1.0},
    "entropy-bounded 4": {"order": "entropy-bounded", "entropy_bound": 4.0},
    "entropy-bounded 16": {"order": "entropy-bounded", "entropy_bound": 16.0},
    "entropy-bounded 32": {"order": "entropy-bounded", "entropy_bound": 32.0},
    ONE: SUREST,
}
SPEAK = {
    "ancestral": {"order": "ancestral"},
    "ancestral, top-p 0.95": {"order": "ancestral", "top_p": 0.95},
    "ancestral, 128 steps": {"order": "ancestral", "steps": 128},
    "ancestral, no guidance": {"order": "ancestral", "guidance": 1.0},
    "ancestral, guidance 4": {"order": "ancestral", "guidance": 4.0},
    "ancestral, temperature 0.8": {"order": "ancestral", "temperature": 0.8},
    "ancestral, remasking, cap": {"order": "ancestral", "remask": "cap", "eta": 0.05},
    "no noise": {"noise": 0.0},
    "noise 4.5": {"noise": 4.5},
    "noise 15": {"noise": 15.0},
    "guidance 1": {"guidance": 1.0},
    "guidance 4": {"guidance": 4.0},
    "noise 4.5, blocks of 32 in 8 steps": {"noise": 4.5, "block": 32, "steps": 8},
    f"noise 4.5, blocks of 32 in 8 steps{KEPT}": {"noise": 4.5, "block": 32, "steps": 8, "cache": "dual"},
    "expected length": {"room": "expected"},
    "entropy-bounded 4": {"order": "entropy-bounded", "entropy_bound": 4.0},
    "entropy-bounded 16": {"order": "entropy-bounded", "entropy_bound": 16.0},
    "entropy-bounded 32": {"order": "entropy-bounded", "entropy_bound": 32.0},
    ONE: ANY,
}
IN_BLOCKS = {"order": "confidence", "noise": 4.5, "block": 32, "steps": 16}
WRITE = {
    "top-p 1": {"top_p": 1.0},
    "top-p 0.8": {"top_p": 0.8},
    "temperature 0.8": {"temperature": 0.8, "top_p": 1.0},
    "32 steps": {"steps": 32},
    "64 steps": {"steps": 64},
    "256 steps": {"steps": 256},
    "cosine grid": {"grid": "cosine"},
    "confidence, noise 4.5": {"order": "confidence", "noise": 4.5},
    "confidence, noise 4.5, blocks of 32 in 16 steps": IN_BLOCKS,
    f"confidence, noise 4.5, blocks of 32 in 16 steps{KEPT}": IN_BLOCKS | {"cache": "dual"},
    "expected length": {"room": "expected"},
    "remasking, cap": {"remask": "cap", "eta": 0.02},
    "remasking, rescale": {"remask": "rescale", "eta": 0.05},
    "entropy-bounded 0.5": {"order": "entropy-bounded", "entropy_bound": 0.5},
    "entropy-bounded 4": {"order": "entropy-bounded", "entropy_bound": 4.0},
    "entropy-bounded 16": {"order": "entropy-bounded", "entropy_bound": 16.0},
    "threshold 0.5": {"order": "threshold", "threshold": 0.5},
    ONE: ANY,
}
TELL = {
    "margin": {"order": "margin"},
    "entropy": {"order": "entropy"},
    "ancestral": {"order": "ancestral", "temperature": 1.0},
    "4 steps": {"steps": 4},
    "drawn length": {"room": "drawn"},
    "guidance 2": {"guidance": 2.0},
    "guidance 1.5": {"guidance": 1.5},
    "temperature 0.5": {"temperature": 0.5},
    "threshold 0.9": {"order": "threshold", "threshold": 0.9},
    "threshold 0.5": {"order": "threshold", "threshold": 0.5},
    "entropy-bounded 0.5": {"order": "entropy-bounded", "entropy_bound": 0.5},
    "entropy-bounded 2": {"order": "entropy-bounded", "entropy_bound": 2.0},
    "entropy-bounded 8": {"order": "entropy-bounded", "entropy_bound": 8.0},
}
BOTH = {
    "top-p 1": {"top_p": 1.0},
    "top-p 0.8": {"top_p": 0.8},
    "32 steps": {"steps": 32},
    "128 steps": {"steps": 128},
    "uniform grid": {"grid": "uniform"},
    "confidence, noise 4.5": {"order": "confidence", "noise": 4.5},
    "remasking, cap": {"remask": "cap", "eta": 0.05},
    "corrector 0.1": {"corrector": 0.1},
    "entropy-bounded 4": {"order": "entropy-bounded", "entropy_bound": 4.0},
    "entropy-bounded 16": {"order": "entropy-bounded", "entropy_bound": 16.0},
    "entropy-bounded 32": {"order": "entropy-bounded", "entropy_bound": 32.0},
    ONE: ANY,
}

_TALE = "text/divergence of frequent words"
_PICTURE, _SPEECH = (f"{own.modality}/{own.figures[0].name}" for own in (PICTURE_DISTANCES, SPEECH_DISTANCES))
# Shares and the documents of each, of the hundred originals that a data set keeps of a split. Prose and speech are long, a trial
# of them takes minutes: four shares. Of joint tasks what is made is looked for among the others: few shares of many.
_SHARES = {"text": (4, 16), "text-to-speech": (4, 16), "joint-image-text": (3, 32), "joint-audio-text": (3, 32)}
_SHORT = (6, 16)
TASKS = {
    "text": (WRITE, (_TALE, "text/different pairs among all")),  # frequent pairs want more than a share of texts
    "text-to-image": (
        PAINT,
        ("image/own picture is nearest", "image/colours in common with the own", _PICTURE),
    ),
    "image-to-text": (TELL, ("text/chrF",)),
    "joint-image-text": (
        BOTH,
        ("text + image/picture of the nearest caption is one of the nearest ten", _PICTURE, _TALE),
    ),
    "text-to-speech": (SPEAK, ("audio/own recording is nearest", _SPEECH, "audio/silence", "audio/level")),
    "speech-to-text": (TELL, ("text/word error rate", "text/character error rate")),
    "joint-audio-text": (
        BOTH,
        ("text + audio/recording of the nearest text is one of the nearest ten", _SPEECH, "audio/silence", _TALE),
    ),
}


def shares_of(task: str) -> tuple[int, int]:
    """How many shares, and of how many documents each."""
    return _SHARES[task] if task in _SHARES else _SHORT


def base(task: str) -> dict:
    """See `mdm.studies.sampling.SamplingSettings`; --run names another run."""
    return {
        "run": "runs/demo_long/run", "step": 12_000, "task": task, "split": "heldout", "first": 0, "seed": 0,
        "documents": shares_of(task)[1], "slow": False, "sampler": dataclasses.asdict(STARTS[task]),
    }  # fmt: skip


def get_study(task: str = "text-to-image") -> Study:
    levels, figures = TASKS[task]
    shares, documents = shares_of(task)
    if ONE in levels:
        analyses = (
            Comparison(f"Against {START}", "sampler", START, figures),
            Comparison("Against one position a step", "sampler", ONE, (*figures, "network_calls")),
        )
    else:
        title = f"Against {START}, one position a step"
        analyses = (Comparison(title, "sampler", START, (*figures, "network_calls")),)
    for kept in (level for level in levels if level.endswith(KEPT)):
        plain = kept.removesuffix(KEPT)
        where, counted = ({"sampler": plain}, {"sampler": kept}), (*figures, "network_calls", "part_calls", "seconds")
        analyses += (Comparison("What keeping keys and values changes", "sampler", plain, counted, where),)
    return Study(
        title=f"Samplers: {task}",
        question="Which settings of the sampler make the best of this task, and what does each network call buy?",
        expectation=(
            "Orders by confidence are better where one answer is right, ancestral ones where variety counts; guidance helps what "
            "has a condition; entropy bounds and thresholds save calls at little loss (arXiv 2505.24857, 2505.22618, 2503.00307)."
        ),
        base=lambda: base(task),
        axes=(Axis("sampler", {START: {}, **{
            label: {f"sampler.{key}": value for key, value in changes.items()} for label, changes in levels.items()
        }}),),
        seeds=tuple(documents * share for share in range(shares)),
        seeded=("seed", "first"),
        metrics=(*figures, "network_calls", "part_calls", "seconds"),
        work=SAMPLING,
        analyses=analyses,
    )  # fmt: skip
