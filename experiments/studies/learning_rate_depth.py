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
    "Partly. With the parameterisation nothing is seen to move: best rates of 0.0086 (0.0012 to 0.016, beyond what was "
    "tried), 0.0079 (0.0047 to 0.010) and 0.0068 (0.0021 to 0.0098) at depths 2, 4 and 8; by one parabola for all depths "
    "the power is -0.21 (-0.64 to 0.13), which holds 0 and also a fall by 2.4 over the fourfold depth. Without it there "
    "is no verdict: the loss at depth 8 is no parabola (7.74 bits at a rate of 0.0039, 7.99 at 0.0156, 7.70 at 0.0625, "
    "there of one seed), one parabola for all depths bends down in most draws, and the lowest mean of three seeds lies at"
    " 0.0039 at every depth, also at 2, where the two are the same network. That the best rate falls without the "
    "parameterisation is thus not shown. What differs is the loss: at its best rate of three seeds it is 7.70, 7.63 and "
    "7.63 bits at depths 2, 4 and 8 with the parameterisation, 7.70, 7.68 and 7.74 without. Seed by seed at one rate it "
    "is lower by 0.08 (0.06 to 0.10) at depth 4 and 0.0078, the one of eight differences that stands after correction, "
    "and by 0.11 (0.06 to 0.16; alone) at depth 8 and 0.0039. Trials that this study shares with that of the width, "
    "trained by another commit, differ from those by up to 0.02 bits."
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
