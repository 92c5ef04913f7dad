"""Does the best learning rate stay where it is when the network grows deeper?

python -m mdm.study --study=experiments/studies/learning_rate_depth.py --workdir=runs/studies/learning_rate_depth --jobs=2
"""

from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Axis, Study

ON, OFF = "Complete(d)P", "standard"
BASE = "model.parameterization.base"
RATES = tuple(2.0**-k for k in range(9, 3, -1))
ENDS = (f"{RATES[0]:g}", f"{RATES[-1]:g}")
CONCLUSION = (
    "Agrees, as far as three seeds tell. With the parameterisation the best rate stays over a fourfold depth: 0.0086 "
    "(0.0012 to 0.016), 0.0079 (0.0047 to 0.010) and 0.0068 (0.0021 to 0.0098) at depths 2, 4 and 8, where nothing was "
    "expected to move. Without it (at depth 2 the two are the same network) the lowest mean falls to 0.0039 at depths 4 "
    "and 8, but no parabola fits: at depth 8 the loss rises by 0.25 bits up to a rate of 0.0156 and is low again, in one "
    "seed, at 0.0625, with worse text and better sound. Deeper is better with it (7.70, 7.63, 7.63 bits at the best rate "
    "of three seeds) and not without (7.70, 7.68, 7.74). All six rates were fitted, as in the study of the width."
)


def get_study(size: str = "laptop") -> Study:
    depths = {"laptop": (2, 4, 8), "pod": (4, 8, 16)}[size]
    return Study(
        title="Learning rate over depth",
        question="How far does the best learning rate move over a fourfold depth, with the parameterisation and without it?",
        expectation="With Complete(d)P (alpha = 1) it stays where it is; without, it falls (arXiv 2505.01618, 2512.22382).",
        conclusion=CONCLUSION if size == "laptop" else "",
        base=f"experiments/study_base.py:{size}",
        axes=(
            Axis("parameterisation", {ON: {}, OFF: {f"{BASE}_width": 0, f"{BASE}_depth": 0}}),
            Axis("depth", {str(depth): {"model.depth": depth} for depth in depths}),
            Axis.of("learning rate", "optimizer.learning_rate", RATES),
        ),
        seeds=(0, 1, 2),
        keep=lambda level: (level["parameterisation"] == ON or level["depth"] != str(depths[0]))
        and (level["seed"] == "0" or level["learning rate"] not in ENDS),
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "parameters"),
        analyses=(
            BestSetting(
                f"Best learning rate, {ON}", x="learning rate", y="heldout_bits", by="depth", octaves=5,
                where={"parameterisation": ON}, expected=0.0,
            ),
            BestSetting(
                f"Best learning rate, {OFF}", x="learning rate", y="heldout_bits", by="depth", octaves=5,
                where={"parameterisation": OFF},
            ),
            Curve("All runs", x="learning rate", y="heldout_bits", by=("parameterisation", "depth")),
        ),
    )  # fmt: skip
