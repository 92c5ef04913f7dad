"""What does each modality pay for the rows that the others get?

python -m mdm.study --study=experiments/studies/mixture.py --workdir=runs/studies/mixture --jobs=2
"""

from mdm.studies.analyses.comparison import Comparison
from mdm.studies.study import Axis, Study

SHARES = {  # rows a block of text, image-text, audio-text
    "even": (2, 2, 2), "text": (4, 1, 1), "image": (1, 4, 1), "audio": (1, 1, 4), "no audio": (3, 3, 0), "no image": (3, 0, 3),
}  # fmt: skip


def get_study(size: str = "laptop") -> Study:
    row, tokens = {"laptop": (320, 640 * 4 * 320), "pod": (3072, 2_000_000_000)}[size]
    levels = {
        name: {"data.stages": [{"from_row": 0, "rows": {"text": t, "image_text": i, "audio_text": a}}]}
        for name, (t, i, a) in SHARES.items()
    }
    levels["even, image x2"] = {**levels["even"], "objective.loss_weights": {"image": 2.0}}
    half = tokens // row // 2 // 6 * 6  # data rows, in whole blocks
    levels["text, then even"] = {
        "data.stages": [
            {"from_row": 0, "rows": {"text": 4, "image_text": 1, "audio_text": 1}},
            {"from_row": half, "rows": {"text": 2, "image_text": 2, "audio_text": 2}},
        ]
    }
    return Study(
        title="Mixture",
        question="How do shares, stages and loss weights of the modalities move the loss of each?",
        expectation=(
            "Every modality gains from its own rows and pays for those of the others; ratios matter (arXiv 2602.21472, whose "
            "figures we do not know)."
        ),
        base=f"experiments/study_base.py:{size}",
        overrides={"training.tokens": tokens, "optimizer.warmup_tokens": tokens // 10, "optimizer.ema_half_life": tokens // 50},
        axes=(Axis("mixture", levels),),
        seeds=(0, 1, 2),
        metrics=("heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "passes"),
        analyses=(
            Comparison("Against even shares", "mixture", "even",
                       ("heldout_bits/text", "heldout_bits/image", "heldout_bits/audio")),
        ),
    )  # fmt: skip
