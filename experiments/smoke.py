"""From the media that ship with the package to a model that was trained, scored and sampled, in minutes, with no network.

    launch/smoke.sh                        (or, by hand, the four commands below)
    python -m mdm.prepare  --config=experiments/smoke.py --output=/tmp/mdm-smoke/data
    python -m mdm.train    --config=experiments/smoke.py --config.data.directory=/tmp/mdm-smoke/data --workdir=/tmp/mdm-smoke/run
    python -m mdm.evaluate --workdir=/tmp/mdm-smoke/run
    python -m mdm.generate --workdir=/tmp/mdm-smoke/run --task=text-to-image --prompt="red apple" --output=/tmp/mdm-smoke/samples

Hardware: two CPU cores. About 0.5 s a step, 200 steps. What it makes is noise with the right colours: it shows that every part
works, not what a model can do (see demo.py).
"""

from ml_collections import ConfigDict

from mdm import config


def get_config() -> ConfigDict:
    c = config.base()
    c.prepare.sources = {
        "prose": config.source("prose", "samples://prose", stream="text"),
        "emoji": config.source("captioned-images", "samples://images", stream="image-text"),
        "speech": config.source("transcribed-speech", "samples://speech", stream="audio-text"),
    }
    c.prepare.codecs = {
        "text": config.codec("bpe", vocabulary=1024),
        "image": config.codec("fsq-image", steps=100),
        "audio": config.codec("mel-fsq", steps=150, width=96),
    }
    c.data.row_length = 256
    c.data.streams = {
        "text": config.stream({"text": 1.0}, split_documents=True),
        "image_text": config.stream({"text_to_image": 0.5, "image_to_text": 0.25, "joint_image_text": 0.25}),
        "audio_text": config.stream({"text_to_speech": 0.5, "speech_to_text": 0.25, "joint_audio_text": 0.25}),
    }
    c.data.stages = [config.stage(text=2, image_text=1, audio_text=1)]
    c.model.width, c.model.depth = 128, 4
    c.optimizer.learning_rate = 4e-3
    c.optimizer.warmup_tokens = 16 * 256 * 20
    c.optimizer.ema_half_life = 16 * 256 * 20
    c.training.batch_size = 16
    c.training.tokens = 16 * 256 * 200
    c.training.log_every = 10
    c.checkpoints.every = 50
    c.evaluation.documents = 24
    c.evaluation.samples = 2
    return c
