"""How fast one core prepares media: opened, encoded by their codec in batches or one by one, written as records.

    python experiments/benchmarks/preparing.py --config=experiments/demo.py [--items=1024] [--rounds=3]

Needs the data set of the config, whose codecs it takes, and its media. One JSON line a contender; then, for each modality, the
rate of each stage and of all: media, what they hold (pictures, seconds of sound, megabytes of text) and tokens a second.
"""

import itertools
import json
import os
import tempfile
import time
from pathlib import Path

_CORE = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {_CORE})  # before JAX counts the cores

import contest  # noqa: E402
import numpy as np  # noqa: E402
from absl import app, flags  # noqa: E402

from mdm import command  # noqa: E402
from mdm.codecs import registry  # noqa: E402
from mdm.codecs.codec import Codes, Media, Sound  # noqa: E402
from mdm.data import documents, shards, sources  # noqa: E402
from mdm.data.parts import BATCH  # noqa: E402
from mdm.tokens.vocabulary import MODALITIES  # noqa: E402

_CONFIG = command.config_flag()
_ITEMS = flags.DEFINE_integer("items", 1024, "Media of each modality.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each contender runs.", lower_bound=1)
HELD = {"text": "MB of text", "image": "pictures", "audio": "seconds of sound"}


def held(media: Media) -> float:
    """What a medium counts for, in the unit of HELD."""
    if isinstance(media, str):
        return len(media.encode()) / 1e6
    return len(media.samples) / media.rate if isinstance(media, Sound) else 1.0


def main(_) -> None:
    settings = command.settings(_CONFIG)
    for modality in MODALITIES:
        folder = Path(settings.data.directory) / "codecs" / modality
        if modality not in settings.prepare.codecs or not folder.exists():
            continue
        codec = registry.load(folder)
        wanted = {"text", modality}  # prose, pairs: text is that of prose, not of captions
        of_all = (item for name, own in settings.prepare.sources.items() for item in sources.items(name, own))
        items = list(itertools.islice((i for i in of_all if set(i.media) == wanted), _ITEMS.value))
        began = time.perf_counter()
        media = [item.media[modality]() for item in items]
        seconds = {"open": time.perf_counter() - began}
        media = [medium for medium in media if not isinstance(medium, Codes)]
        codes = {}

        def by(size: int, codec=codec, media=media, codes=codes) -> None:
            codes[size] = [own for at in range(0, len(media), size) for own in codec.encode(media[at : at + size])]

        runs = {f"batches of {BATCH}": lambda by=by: by(BATCH), "one by one": lambda by=by: by(1)}
        found = contest.contest(f"preparing {modality}", runs, _ROUNDS.value, {})
        for own, other in zip(codes[BATCH], codes[1], strict=True):
            np.testing.assert_array_equal(own, other)
        seconds["encode"] = float(np.median(found[f"batches of {BATCH}"]))
        with tempfile.TemporaryDirectory(prefix="mdm-preparing-") as directory:
            began = time.perf_counter()
            records = [documents.encode(str(n), str(n), {modality: own}) for n, own in enumerate(codes[BATCH])]
            shards.write_records(Path(directory) / "records", records)
            seconds["write"] = time.perf_counter() - began
        seconds["all"] = sum(seconds.values())
        amounts = {
            "media": len(media),
            HELD[modality]: sum(map(held, media)),
            "tokens": sum(own.size for own in codes[BATCH]),
        }
        rates = {
            stage: {name: float(f"{n / own:.3g}") for name, n in amounts.items()} for stage, own in seconds.items()
        }
        print(json.dumps({"benchmark": f"preparing {modality}", "a_second_of_one_core": rates}), flush=True)


if __name__ == "__main__":
    app.run(main)
