"""The large model: 3.4 B parameters, 6.4 T tokens of text, image-text and audio-text at 60/20/20.

    python -m mdm.preflight --config=experiments/tri_modal_3b.py --topology=v5p:4x4x4      (no TPU needed)
    python -m mdm.train --config=experiments/tri_modal_3b.py --config.data.directory=/data --workdir=gs://… --distributed

Data lie in a folder, or in a bucket that is mounted at one. Hardware is named behind the file, as in tri_modal_3b.py:v5e; v5p is
meant where nothing is. One batch of 512 rows serves all of
them, since `training.rows_at_a_time` cuts it into what a chip holds. Expected step times are preflight's estimates
(BUILD_NOTES.md); the loss of such a run is not known.

The shape keeps width / depth = 128 as the paper's pilots do; width, mixture and codes are our choice. Text: a BPE of the
cl100k class; pictures: 32 x 32 codes of 16,384; sound: one book of 1,024.
"""

from ml_collections import ConfigDict

from mdm import config

HARDWARE = {  # attention kernel, what is recomputed, rows a chip holds at a time, ways of tensor parallelism, chunk of the head
    "v4": ("splash", "full", 2, 1, 1024),
    "v5p": ("splash", "full", 2, 1, 1024),
    "v5e": ("splash", "full", 2, 1, 1024),
    "v6e": ("splash", "full", 2, 1, 2048),  # most products for its HBM: a chunk of 1024 would wait for the columns
    "h100": ("cudnn", "full", 2, 1, 1024),
}


def get_config(hardware: str = "v5p") -> ConfigDict:
    if hardware not in HARDWARE:
        raise ValueError(f"{hardware!r} is no hardware of this preset: use one of {', '.join(HARDWARE)}")
    c = config.base()
    c.data.row_length = 3072
    c.data.codebooks = {"text": (100_277,), "image": (16_384,), "audio": (1024,)}
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 0.6, "image_to_text": 0.2, "joint_image_text": 0.2}),
        "audio_text": config.stream({"text_to_speech": 0.6, "speech_to_text": 0.2, "joint_audio_text": 0.2}),
    }
    c.data.stages = [config.stage(text=3, image_text=1, audio_text=1)]
    c.data.workers = 8
    c.model.width, c.model.depth, c.model.head_size = 3072, 24, 128
    c.model.walk, c.model.compute_dtype = "scan", "bfloat16"
    attention, remat, rows, tensor, chunk = HARDWARE[hardware]
    c.model.attention, c.model.remat, c.model.head_chunk = attention, remat, chunk
    c.training.rows_at_a_time, c.mesh.tensor = rows, tensor
    # Tuned at the pilot's shape; Complete(d)P carries the figures over.
    c.model.parameterization.base_width, c.model.parameterization.base_depth = 1024, 8
    c.corruption.mode = "complementary"
    c.optimizer.learning_rate = 2e-3
    # The pilot's batch and horizon: the rule carries learning rate, betas, epsilon and decay over to others.
    c.optimizer.batch_scaling.base_batch, c.optimizer.batch_scaling.base_horizon = 256 * 3072 // 2, 13_000_000_000
    tokens_a_step = 512 * 3072 // 2  # unique: two rows are views of one
    c.optimizer.warmup_tokens = 2000 * tokens_a_step
    c.optimizer.ema_half_life = 1000 * tokens_a_step
    c.training.batch_size = 512
    c.training.tokens = 6_400_000_000_000
    c.training.log_every = 20
    c.checkpoints.every = 1000
    c.checkpoints.keep_every = 20_000
    return c
