"""The demo with time: the same registries, all of their English media, some hours on two CPU cores.

    launch/quickstart.sh experiments/demo_long.py runs/demo_long

Over the quickstart: TuxPaint's stamps, three hours of spoken example sentences, codecs fitted for longer, a wider and deeper
model on many times the tokens. Every part resumes: kill it when you need the machine, start it again when you do not.
"""

from ml_collections import ConfigDict

from mdm import config

MEDIA = "runs/demo_long/media"


def get_config() -> ConfigDict:
    c = config.base()
    c.prepare.sources = {
        "emoji": config.source("emoji", MEDIA, stream="image-text"),
        "stamps": config.source("stamps", MEDIA, stream="image-text"),
        "spoken_emoji": config.source("spoken-emoji", MEDIA, stream="audio-text"),
        "spoken_examples": config.source("spoken-examples", MEDIA, stream="audio-text"),
        "prompts": config.source("prompts", MEDIA, stream="audio-text"),
        "novels": config.source("novels", MEDIA, stream="text"),
        "scripture": config.source("scripture", MEDIA, stream="text"),
        "glosses": config.source("glosses", MEDIA, stream="text"),
    }
    c.prepare.codecs = {
        "text": config.codec("bpe", vocabulary=2048),
        "image": config.codec("fsq-image", levels=(8, 5, 5, 5), steps=2500),
        "audio": config.codec("mel-fsq", width=160, steps=5000),
    }
    c.data.directory = "runs/demo_long/data"
    c.data.row_length = 320
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 0.7, "image_to_text": 0.2, "joint_image_text": 0.1}),
        "audio_text": config.stream({"text_to_speech": 0.7, "speech_to_text": 0.2, "joint_audio_text": 0.1}),
    }
    c.data.stages = [config.stage(text=3, image_text=5, audio_text=2)]
    c.model.width, c.model.depth, c.model.head_size = 192, 6, 64
    c.model.head_chunk = 256
    tokens_a_step = 8 * 320
    c.optimizer.learning_rate = 4e-3
    c.optimizer.warmup_tokens = 200 * tokens_a_step
    c.optimizer.ema_half_life = 200 * tokens_a_step
    c.training.batch_size = 8
    c.training.tokens = 12000 * tokens_a_step
    c.training.log_every = 50
    c.checkpoints.every = 250
    c.evaluation.documents = 256
    c.evaluation.samples = 4
    c.evaluation.generated = 100
    return c
