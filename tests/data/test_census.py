"""What is counted of a data set is what stands in its documents."""

import numpy as np
import pytest

from mdm.data import census, shards
from mdm.data.census import Usage
from mdm.data.manifest import Manifest, Stream
from mdm.problems import Refusal
from mdm.tokens.vocabulary import MODALITIES
from tests.data import synthetic


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return synthetic.write(tmp_path_factory.mktemp("census") / "set")


def test_lengths_are_those_of_the_documents(manifest):
    for stream in manifest.streams:
        found = census.lengths(manifest, stream, "train")
        documents = [stored.content for _, stored in shards.read_all(manifest, stream, "train")]
        assert set(found) == set(documents[0])
        for modality, own in found.items():
            assert own.tolist() == [document[modality].size for document in documents]


@pytest.mark.parametrize("most", [1, 7, 60, 1000])
def test_documents_are_spread_over_all_shards(manifest, most):
    found = [number for number, _ in census.spread(manifest, "text", "train", most)]
    assert len(found) == min(most, 60) and found == sorted(set(found))
    if most == 7:
        assert found == [0, 10, 20, 30, 39, 49, 59]  # as evenly as whole numbers allow, ends included
    whole = {number: stored.key for number, stored in shards.read_all(manifest, "text", "train")}
    assert all(whole[number] == stored.key for number, stored in census.spread(manifest, "text", "train", most))


def test_every_code_is_counted_in_its_own_book(manifest):
    found = {own.name: own for own in census.usage(manifest, "train", 1000)}
    assert list(found) == ["text", "image", "audio.0", "audio.1"]
    for book in (0, 1):
        wanted = np.zeros((50, 60)[book], int)
        for _, stored in shards.read_all(manifest, "audio-text", "train"):
            np.add.at(wanted, stored.content["audio"][:, book], 1)
        assert found[f"audio.{book}"].counts.tolist() == wanted.tolist()
    assert found["text"].documents == 180 and found["image"].documents == 60


def test_a_code_that_its_book_does_not_have_is_refused(tmp_path):
    documents = [("a", {"text": np.array([3, 200], np.int32)})]
    shard = shards.write(tmp_path, shards.file_name("train", 0, 1), documents, 0)
    own = Stream("text", MODALITIES[:1], {"train": (shard,), "heldout": ()}, {"train": {}, "heldout": {}})
    manifest = Manifest(tmp_path, synthetic.VOCABULARY, {}, {"text": own}, "made")
    with pytest.raises(Refusal, match="text train document 0 = 200: the codebook has 200 codes"):
        census.usage(manifest, "train", 10)


def test_perplexity_counts_codes_that_are_equally_frequent():
    assert Usage("x", np.array([5, 5, 0, 5]), 1).perplexity == pytest.approx(3)
    assert Usage("x", np.array([0, 0]), 1).perplexity == 0 == Usage("x", np.array([0, 0]), 1).used
