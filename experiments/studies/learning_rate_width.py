"""Does the best learning rate stay where it is when the network grows wider?

    python -m mdm.study --study=experiments/studies/learning_rate_width.py --workdir=runs/studies/learning_rate_width
    python -m mdm.study --study=experiments/studies/learning_rate_width.py:pod --workdir=gs://BUCKET/learning_rate_width \\
        --emit=gke --image=IMAGE --tpu=tpu-v5p-slice:2x2x1

A draft: its times and its result have not been measured. On two CPU cores it reads the data set of the quickstart
(launch/quickstart.sh); on a pod the base is the 320M config, a host a trial, and --data names the data set.
"""

from mdm.studies.analyses import BestSetting, Curve
from mdm.studies.study import Axis, Study

_RATES = tuple(2.0**-k for k in range(6, 11))


def get_study(size: str = "laptop") -> Study:
    widths = {"laptop": (64, 128, 256), "pod": (512, 1024, 2048)}[size]
    tokens = {"laptop": 200 * 8 * 320, "pod": 2_000_000_000}[size]
    return Study(
        title="Learning rate over width",
        question="How far does the best learning rate move when the width changes fourfold?",
        expectation="Under Complete(d)P it stays where it is, within the error of the parabola (arXiv 2512.22382).",
        base={"laptop": "experiments/demo.py", "pod": "experiments/tri_modal_320m.py"}[size],
        overrides={"training.tokens": tokens, "optimizer.warmup_tokens": tokens // 10, "optimizer.ema_half_life": tokens // 20},
        axes=(
            Axis("width", {str(width): {"model.width": width} for width in widths}),
            Axis.of("learning rate", "optimizer.learning_rate", _RATES),
        ),
        seeds=(0, 1),
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "train_loss", "parameters"),
        analyses=(
            BestSetting("Best learning rate", x="learning rate", y="heldout_bits", by="width", octaves=2),
            Curve("Training loss", x="learning rate", y="train_loss", by=("width",)),
        ),
    )  # fmt: skip
