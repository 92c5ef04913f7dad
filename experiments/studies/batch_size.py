"""Is the physical batch free once AdamW is rescaled, and up to where?

python -m mdm.study --study=experiments/studies/batch_size.py --workdir=runs/studies/batch_size --jobs=2
"""

from mdm.studies.analyses.comparison import Comparison
from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Axis, Study

WITH, WITHOUT = "SDE rule", "none"
RULE = "optimizer.batch_scaling"
CONCLUSION = (
    "Agrees. With the rule the loss stays the same from 1 to 16 rows (7.42 to 7.50 bits, no difference to 8 rows whose 95"
    " % interval leaves 0 out: within 0.1 of it on either side but for 16 rows, 0.06 with an interval of -0.10 to 0.23). "
    "It breaks between 16 and 32 rows, where 200 steps become 100: 0.21 (0.11 to 0.31) at 32, 0.57 (0.33 to 0.81) at 64. "
    "Without the rule it is lowest at 2 and 4 rows and rises from there: 0.18 bits between the lowest and 16 rows, "
    "against 0.08 with it, 0.30 (0.14 to 0.47) above 8 rows at 32. That small batches gain without the rule says that the"
    " base rate is above the best one at 8 rows; the rule carries it over as it is."
)


def get_study(size: str = "laptop") -> Study:
    batches = {"laptop": (1, 2, 4, 8, 16, 32, 64), "pod": (16, 32, 64, 128, 256, 512, 1024)}[size]
    base = {"laptop": 8, "pod": 128}[size]
    row, tokens = {"laptop": (320, 3200 * 320), "pod": (3072, 2_000_000_000)}[size]

    def lines(rows: int) -> int:
        """Steps a line of the log, so that each run has about 16."""
        return max(1, tokens // (16 * rows * row))

    return Study(
        title="Batch size",
        question="At equal unique tokens, over which range of batches does the loss stay the same, with and without the rule?",
        expectation=(
            "With the rule the loss is flat up to a critical batch, where the steps become too few; without it, it rises to both "
            "sides (arXiv 2602.21472; square-root rule: 2205.10287)."
        ),
        conclusion=CONCLUSION if size == "laptop" else "",
        base=f"experiments/study_base.py:{size}",
        # Clipping is off in the base: it is outside of the rule.
        overrides={
            "training.tokens": tokens, "optimizer.warmup_tokens": tokens // 10, "optimizer.ema_half_life": tokens // 50,
        },
        axes=(
            Axis("rule", {WITH: {f"{RULE}.base_batch": base * row, f"{RULE}.base_horizon": tokens}, WITHOUT: {}}),
            Axis("batch", {str(rows): {"training.batch_size": rows, "training.log_every": lines(rows)} for rows in batches}),
        ),
        seeds=(0, 1, 2),
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "train_loss"),
        analyses=(
            Curve("Loss over physical batch, in rows", x="batch", y="heldout_bits", by=("rule",)),
            Comparison(
                f"With the rule, against {base} rows", "batch", str(base), ("heldout_bits",), where={"rule": WITH}
            ),
            Comparison(
                f"Without it, against {base} rows", "batch", str(base), ("heldout_bits",), where={"rule": WITHOUT}
            ),
        ),
    )  # fmt: skip
