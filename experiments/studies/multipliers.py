"""A search over learning rates by module, at the shape from which they carry over.

python -m mdm.study --study=experiments/studies/multipliers.py --workdir=runs/studies/multipliers
"""

from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Search, Study

MODULES = ("embedding", "query", "key", "value", "out", "gate", "up", "down", "unembedding")


def get_study(size: str = "laptop") -> Study:
    return Study(
        title="Learning rates by module",
        question="How much does a learning rate of its own for each module gain over one for all?",
        expectation=(
            "Most of the gain of per-module hyperparameters comes from learning rates by type; all were worth 2.3x the speed "
            "at 50 M parameters and less when carried to 7 B (arXiv 2512.22382)."
        ),
        base=f"experiments/study_base.py:{size}",
        axes=(),
        seeds=(0,),
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio"),
        search=Search(
            name="suggestion",
            space={f"model.parameterization.learning_rates.{module}": (1 / 8, 8.0) for module in MODULES},
            trials={"laptop": 40, "pod": 200}[size],
            metric="heldout_bits",
        ),
        analyses=(Curve("Suggestions in their order", x="suggestion", y="heldout_bits", log_x=False),),
    )
