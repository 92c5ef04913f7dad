"""What does each modality pay for the rows that the others get?

python -m mdm.study --study=experiments/studies/mixture.py --workdir=runs/studies/mixture --jobs=2
"""

from mdm.studies.analyses.comparison import Comparison
from mdm.studies.study import Axis, Study

SHARES = {  # rows a block of text, image-text, audio-text
    "even": (2, 2, 2), "text": (4, 1, 1), "image": (1, 4, 1), "audio": (1, 1, 4), "no audio": (3, 3, 0), "no image": (3, 0, 3),
}  # fmt: skip
CONCLUSION = (
    "Agrees for pictures and sound. Against even shares sound gains 0.24 bits (0.21 to 0.27) where its rows are doubled "
    "and loses 0.20 to 0.25 where they are halved; pictures gain 0.14 (-0.03 to 0.31) from twice their rows and lose 0.18"
    " (0.11 to 0.25) at half. Text does not gain from rows of prose: at two thirds prose it is 0.29 bits worse (0.02 to "
    "0.56), since held-out text is also captions and transcripts, which come with the other streams' rows (0.61 worse "
    "without pictures). Without sound or pictures nothing of them is learnt (4.0 and 1.6 bits) and the others gain 0.07 "
    "and 0.14, within the noise. A doubled loss weight of pictures (0.03 better, -0.13 to 0.20) and prose first (0.08 to "
    "0.16 worse) show no effect beyond the noise of three seeds."
)


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
        conclusion=CONCLUSION if size == "laptop" else "",
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
