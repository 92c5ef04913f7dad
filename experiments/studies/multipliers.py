"""A search over learning rates by module, at the shape from which they carry over. What it suggests is tried on other seeds by
multipliers_check.py.

python -m mdm.study --study=experiments/studies/multipliers.py --workdir=runs/studies/multipliers
"""

from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Search, Study

MODULES = ("embedding", "query", "key", "value", "out", "gate", "up", "down", "unembedding")
CONCLUSION = (
    "A search of one seed, scored on the split that it is chosen by: that rates by module gain anything is for the check "
    "on other seeds to say (multipliers_check). 32 of 40 suggestions lie below the base as it is (suggestion 40, 7.70 "
    "bits, run last), the lowest at 7.49. The eight lowest, which are not eight finds of their own (20 and 21, and 30 to "
    "32, are near copies by the searcher), have in common higher rates than the base's for embedding and unembedding (1.7"
    " to 6.5 times) and lower ones for key, value, out, gate and down (0.13 to 0.82 times); seven of them have a higher "
    "one for the query. The base rate, 2^-6, was not tuned, and fits put the best one for all modules at about half of "
    "it, so a lower rate for all is what they have to be compared with: the check does."
)


def get_study(size: str = "laptop") -> Study:
    return Study(
        title="Learning rates by module",
        question="How much does a learning rate of its own for each module gain over one for all?",
        expectation=(
            "Most of the gain of per-module hyperparameters comes from learning rates by type; all were worth 2.3x the speed "
            "at 50 M parameters and less when carried to 7 B (arXiv 2512.22382)."
        ),
        conclusion=CONCLUSION if size == "laptop" else "",
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
