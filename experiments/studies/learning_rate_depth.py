"""Does the best learning rate stay where it is when the network grows deeper?

python -m mdm.study --study=experiments/studies/learning_rate_depth.py --workdir=runs/studies/learning_rate_depth --jobs=2
"""

from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.comparison import Comparison
from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Axis, Study

ON, OFF = "Complete(d)P", "standard"
BASE = "model.parameterization.base"
RATES = tuple(2.0**-k for k in range(9, 3, -1))
CONCLUSION = (
    "Agrees with the parameterisation; without it no verdict. With it the best rate stays: 0.0092 (0.0052 to 0.0124), "
    "0.0093 (0.0056 to 0.0123) and 0.0092 (0.0057 to 0.0120) at depths 2, 4 and 8, by one parabola for all depths a power"
    " of -0.007 (-0.30 to 0.28): a move by more than 1.5 over the fourfold depth is outside. Without it the loss at depth"
    " 8 is no parabola (7.74 bits at a rate of 0.0039, 7.99 at 0.0156, 7.87 at 0.0313), and the power is -0.28 (-2.0 to "
    "0.6): that the best rate falls is not shown, and at depth 4 it is 0.0066 (0.0014 to 0.0100, beyond what was tried). "
    "What differs is the loss: the lowest means are 7.70, 7.63 and 7.63 bits at depths 2, 4 and 8 with the "
    "parameterisation, 7.70, 7.68 and 7.74 without, so that without it depth gains nothing. Seed by seed at one rate it "
    "is lower by 0.08 (0.06 to 0.10) at depth 4 and 0.0078, the one of twelve differences that stands after correction, "
    "by 0.11 (0.06 to 0.16; alone) at depth 8 and 0.0039, and at depth 8 at all six rates, by 0.15 in the mean (0.36 "
    "lower to 0.07 higher). Three seeds at every point; the two outer rates had one at first, which gave -0.21 (-0.64 to "
    "0.13) and no fit. Trials that this study shares with that of the width, trained by another commit, differ from those"
    " by up to 0.02 bits."
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
        # At the base depth both are the same network, trained once.
        keep=lambda level: level["parameterisation"] == ON or level["depth"] != str(depths[0]),
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "parameters"),
        analyses=(
            BestSetting(
                f"Best learning rate, {ON}", x="learning rate", y="heldout_bits", by="depth", octaves=5,
                where={"parameterisation": ON}, expected=0.0,
            ),
            BestSetting(
                f"Best learning rate, {OFF}", x="learning rate", y="heldout_bits", by="depth", octaves=5,
                where=({"parameterisation": OFF}, {"parameterisation": ON, "depth": str(depths[0])}),
            ),
            Comparison("With it against without, seed by seed", "parameterisation", OFF, ("heldout_bits",),
                       by=("depth", "learning rate")),
            Curve("All runs", x="learning rate", y="heldout_bits", by=("parameterisation", "depth")),
        ),
    )  # fmt: skip
