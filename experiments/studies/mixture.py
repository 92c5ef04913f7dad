"""What does each modality pay for the rows that the others get?

python -m mdm.study --study=experiments/studies/mixture.py --workdir=runs/studies/mixture --jobs=2
"""

from mdm.studies.analyses.comparison import Comparison
from mdm.studies.study import Axis, Study

SHARES = {  # rows a block of text, image-text, audio-text
    "even": (2, 2, 2), "text": (4, 1, 1), "image": (1, 4, 1), "audio": (1, 1, 4), "no audio": (3, 3, 0), "no image": (3, 0, 3),
}  # fmt: skip
MODALITIES = ("heldout_bits/text", "heldout_bits/image", "heldout_bits/audio")
TASKS = (
    "heldout_bits/text/text", "heldout_bits/image-to-text/text", "heldout_bits/speech-to-text/text",
    "heldout_bits/text-to-image/image", "heldout_bits/text-to-speech/audio",
)  # fmt: skip
CONCLUSION = (
    "Agrees for sound; for pictures and, task by task, for text in sign. A mixture is rows a block of text, pictures and "
    "sound: even is 2:2:2, text 4:1:1, image 1:4:1, audio 1:1:4. Against even shares sound gains 0.24 bits (0.21 to 0.27)"
    " where its rows are doubled: the one difference between mixtures of all streams that stands after correction, "
    "although those are 2.7 passes over the same recordings (even: 1.36). Where its rows are halved it loses 0.25 (0.02 "
    "to 0.48) and 0.20 (0.00 to 0.40), alone. Pictures gain 0.14 from twice their rows, which is not shown (0.31 gained "
    "to 0.03 lost), and lose 0.18 (0.11 to 0.25; alone) and 0.19 (0.53 lost to 0.16 gained) at half. Text as a whole is "
    "0.29 bits worse (0.02 to 0.56; alone) at two thirds prose, but that is captions, 1.2 worse (0.4 to 2.0; alone), and "
    "transcripts, 0.33 (0.06 to 0.59; alone), which come with the other streams' rows: the task of prose itself is 0.09 "
    "better, lower for all three seeds, which three do not show (0.34 better to 0.16 worse). Captions gain 0.46 (0.28 to "
    "0.64; alone) from twice the pictures, transcripts 0.27 (0.14 to 0.40; alone) from twice the sound. A modality "
    "without rows is worse by 4.0 bits (sound) and 1.6 (pictures), both after correction: nothing of it is learnt; what "
    "the others gain from that, 0.07 and 0.14, is within the noise, as are a doubled loss weight of pictures and prose "
    'first ("text, then even", which changes at half of the run). All at a base rate of 2^-6, which was not tuned for 640'
    " steps."
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
    all_streams = tuple({"mixture": name} for name in levels if not name.startswith("no "))
    lacking = tuple({"mixture": name} for name in ("even", "no audio", "no image"))
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
        metrics=(*MODALITIES, *TASKS, "passes"),
        analyses=(
            Comparison("Against even shares", "mixture", "even", MODALITIES, where=all_streams),
            Comparison("Against even shares, by task", "mixture", "even", TASKS, where=all_streams),
            Comparison("Without a stream, against even shares", "mixture", "even", MODALITIES, where=lacking),
        ),
    )  # fmt: skip
