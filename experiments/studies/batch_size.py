"""Is the physical batch free once AdamW is rescaled, and up to where?

python -m mdm.study --study=experiments/studies/batch_size.py --workdir=runs/studies/batch_size --jobs=2
"""

from mdm.studies.analyses.comparison import Comparison
from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Axis, Study

WITH, WITHOUT = "SDE rule", "none"
RULE = "optimizer.batch_scaling"


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
