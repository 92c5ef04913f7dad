"""How does the best kappa fall with the token horizon? Its exponent is gamma.

    python -m mdm.study --study=experiments/studies/horizon.py --workdir=runs/studies/horizon --jobs=2

kappa moves learning rate, betas, epsilon and decay together; at a fixed batch and gamma = 0 it is batch / base batch.
"""

from mdm.studies.analyses.best_setting import BestSetting
from mdm.studies.analyses.curve import Curve
from mdm.studies.study import Axis, Study

KAPPAS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
ENDS = (f"{KAPPAS[0]:g}", f"{KAPPAS[-1]:g}")


def get_study(size: str = "laptop") -> Study:
    rows, row, shortest = {"laptop": (4, 320, 160 * 4 * 320), "pod": (64, 3072, 500_000_000)}[size]

    def horizon(tokens: int) -> dict:
        return {"training.tokens": tokens, "optimizer.warmup_tokens": tokens // 10, "optimizer.ema_half_life": tokens // 50,
                "optimizer.batch_scaling.base_horizon": tokens}  # fmt: skip

    return Study(
        title="Horizon",
        question="With which power of the horizon does the best kappa fall?",
        expectation="kappa goes as D^-0.44 (arXiv 2602.21472); the constant-horizon rule has D^-1 (arXiv 2512.22382).",
        base=f"experiments/study_base.py:{size}",
        overrides={"optimizer.batch_scaling.gamma": 0.0},
        axes=(
            Axis("tokens trained", {str(shortest * times): horizon(shortest * times) for times in (1, 2, 4, 8)}),
            Axis("kappa", {f"{k:g}": {"optimizer.batch_scaling.base_batch": round(rows * row / k)} for k in KAPPAS}),
        ),
        seeds=(0, 1, 2),
        # The ends only show that the curve bends up.
        keep=lambda level: level["seed"] == "0" or level["kappa"] not in ENDS,
        metrics=("heldout_bits", "heldout_bits/text", "heldout_bits/image", "heldout_bits/audio", "passes"),
        analyses=(
            BestSetting("Best kappa", x="kappa", y="heldout_bits", by="tokens trained", octaves=2, expected=-0.44),
            Curve("All runs", x="kappa", y="heldout_bits", by=("tokens trained",)),
        ),
    )
