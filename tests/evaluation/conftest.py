"""Networks that cost nothing, a synthetic data set to score them on, and a run that is played."""

import dataclasses

import jax.numpy as jnp
import pytest

from mdm.data.streams import StreamSettings
from mdm.evaluation.settings import EvaluationSettings
from mdm.runs.checkpoint import Checkpoints, CheckpointSettings
from mdm.tokens.vocabulary import NO_RANGE, Vocabulary
from tests.data import synthetic
from tests.evaluation.play import STATE, Play

STREAMS = {
    "text": StreamSettings({"text": 1.0}, split_documents=True),
    "image-text": StreamSettings({"text-to-image": 0.5, "joint-image-text": 0.5}),
    "audio-text": StreamSettings({"speech-to-text": 1.0}),
}
SETTINGS = EvaluationSettings(documents=12, samples=2, batch_rows=5)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network whose cross-entropy at a position is a number it reads off its segment; `sees_condition` lets it read all of
    the segment, else only the position's place. parameters: a factor on that number; 0 is the zero head."""

    vocabulary: Vocabulary
    sees_condition: bool = True

    def bind(self, parameters):
        return _Bound(self, parameters)


class _Bound:
    def __init__(self, network, factor):
        self._network, self._factor = network, factor

    def hidden(self, ids, segments, positions, ranges):
        place = jnp.sin(positions[..., 0] * 1.7 + 1)
        if self._network.sees_condition:
            place = place + jnp.sin(jnp.where(segments > 0, ids, 0).sum(1, keepdims=True) * 0.37)
        return place[..., None]

    def cross_entropy(self, hidden, target, ranges, weight, z_weight):
        sizes = jnp.array([r.size for r in self._network.vocabulary.ranges], jnp.float32)
        nats = jnp.log(sizes)[ranges] + self._factor * hidden[..., 0]
        nats = jnp.where(ranges == NO_RANGE, 0.0, nats)
        return jnp.sum(weight * nats), nats


@pytest.fixture(scope="session")
def network():
    return Network(synthetic.VOCABULARY)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    return synthetic.write(tmp_path_factory.mktemp("data") / "set", documents=40)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A checkpoint of step 1, to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    with Checkpoints(folder / "checkpoints", CheckpointSettings(every=1)) as checkpoints:
        checkpoints.save(1, STATE, {"row": 1})
    return folder / "checkpoints" / "1"


@pytest.fixture
def play(tmp_path, whole):
    return Play(tmp_path, whole)
