"""Which documents are scored, in which batches, and beside which baseline."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from mdm.data import documents, shards
from mdm.data.documents import Stored
from mdm.evaluation.batches import MULTIPLE, batches, row_lengths
from mdm.evaluation.documents import choose, group_of
from mdm.evaluation.shuffled import shuffle
from mdm.evaluation.unigram import Unigram
from mdm.problems import Refusal
from mdm.tokens.rows import CONDITION, TARGET
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import NO_RANGE
from tests.data.synthetic import VOCABULARY
from tests.evaluation.conftest import STREAMS


def own(manifest, stream, most=100, split="train", row=96):
    return choose(manifest, stream, STREAMS[stream], split, most, row)


def test_fewer_documents_are_a_part_of_more(manifest):
    for stream in ("image-text", "audio-text"):
        assert {e.number for e in own(manifest, stream, 5)} < {e.number for e in own(manifest, stream, 20)}
    assert len(own(manifest, "text", 7)) == 7


def test_pieces_of_a_document_are_disjoint_and_make_it_whole(manifest):
    pieces: dict[str, list] = {}
    for example in own(manifest, "text", 10_000):
        pieces.setdefault(example.key, []).append(example)
    assert len(pieces) == 40 and any(len(p) > 1 for p in pieces.values())
    whole = {}
    for shard in manifest.streams["text"].shards["train"]:
        whole |= {
            own.key: own.content for own in shards.ShardReader(manifest.directory, shard).read(range(shard.documents))
        }
    for key, parts in pieces.items():
        text = np.concatenate([part.content["text"] for part in parts])
        assert np.array_equal(text, whole[key]["text"])
        assert [part.tails["text"] > 0 for part in parts] == [False] * (len(parts) - 1) + [True]


def test_documents_of_one_concept_are_one_group(manifest):
    """As their preparation kept it. Of a data set that kept none, pairs with one text are, and each document of prose."""
    pair = {"text": np.array([1, 2], np.int32), "audio": np.array([[3, 4]], np.int32)}
    told = [
        documents.decode(documents.encode(key, concept, pair), "")
        for key, concept in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    assert group_of(told[0]) == group_of(told[1]) != group_of(told[2])
    old = [Stored("a", "", pair), Stored("b", "", pair), Stored("c", "", pair | {"text": np.array([1], np.int32)})]
    assert group_of(old[0]) == group_of(old[1]) != group_of(old[2])
    assert [group_of(Stored(key, "", {"text": pair["text"]})) for key in "ab"] == ["a", "b"]
    stored = {kept.key: kept for _, kept in shards.read_all(manifest, "text", "train")}
    assert all(example.group == stored[example.key].concept for example in own(manifest, "text"))


def test_a_record_without_a_concept_is_read():
    """As data sets had them before it was kept."""
    example = tf_example_pb2.Example.FromString(documents.encode("a", "x", {"text": np.array([1, 2], np.int32)}))
    del example.features.feature["concept"]
    stored = documents.decode(example.SerializeToString(), "")
    assert (stored.key, stored.concept, stored.content["text"].tolist()) == ("a", "", [1, 2])


def test_a_document_that_is_too_long_is_refused_by_name(manifest):
    with pytest.raises(Refusal, match="image-text/.*longer than a row of 24"):
        own(manifest, "image-text", row=24)


@pytest.mark.parametrize("stream", ["image-text", "text"])
def test_what_a_stream_drops_is_not_scored(manifest, stream):
    dropping = dataclasses.replace(STREAMS[stream], drop_long=True)
    every = {e.number: e.positions for e in own(manifest, stream)}
    row = sorted(every.values())[len(every) // 2] if stream == "image-text" else 20
    found = choose(manifest, stream, dropping, "train", 100, row)
    assert found and max(e.positions for e in found) <= row
    if stream == "image-text":
        assert {e.number for e in found} == {number for number, positions in every.items() if positions <= row}
    with pytest.raises(Refusal, match="none of its documents"):
        choose(manifest, stream, dropping, "train", 100, 3)


@given(st.lists(st.integers(3, 200), min_size=1, max_size=12), st.integers(1, 3))
def test_row_lengths_waste_least(positions, most):
    found = row_lengths(positions, 200, most)
    rounded = sorted({min(-(-p // MULTIPLE) * MULTIPLE, 200) for p in positions})
    cost = lambda lengths: sum(min(n for n in lengths if n >= p) for p in positions)  # noqa: E731
    choices = [c for k in range(1, most + 1) for c in itertools.combinations(rounded, k) if c[-1] == rounded[-1]]
    assert list(found) == sorted(found) and len(found) <= most
    assert cost(found) == min(map(cost, choices))


@pytest.mark.parametrize("batch_rows", [1, 4, 7, 100])
def test_every_example_is_scored_once_and_no_shape_is_new(manifest, batch_rows):
    examples = own(manifest, "image-text")
    lengths = row_lengths([e.positions for e in examples], 96)
    seen, shapes = [], set()
    for batch in batches(examples, "text-to-image", VOCABULARY, lengths, batch_rows):
        seen += list(batch.examples)
        shapes.add(batch.rows.ids.shape)
        empty = batch.rows.segments[len(batch.examples) :]
        assert not empty.any()
    assert sorted(seen) == list(range(len(examples)))
    assert shapes <= {(batch_rows, length) for length in lengths}


@pytest.mark.parametrize("stream, task", [("image-text", "text-to-image"), ("audio-text", "speech-to-text")])
def test_shuffling_exchanges_the_condition_and_nothing_else(manifest, stream, task):
    examples = own(manifest, stream)
    found = shuffle(examples, task)
    assert sorted(found.own) == sorted(found.partner) == list(range(len(examples)))  # each condition is used once
    assert not (found.own == found.partner).any()
    for index, example in zip(found.own, found.examples, strict=True):
        before, after = (e.row(task, VOCABULARY, 96) for e in (examples[index], example))
        np.testing.assert_array_equal(before.roles, after.roles)
        np.testing.assert_array_equal(before.positions, after.positions)
        keep = before.roles != CONDITION
        np.testing.assert_array_equal(before.ids[keep], after.ids[keep])
        assert example.number == examples[index].number  # the same noise
        assert examples[index].group != examples[found.partner[list(found.own).index(index)]].group


def test_alike_documents_are_not_partners_while_there_is_a_choice(manifest):
    examples = own(manifest, "image-text")[:8]
    twins = [dataclasses.replace(e, content=examples[0].content, tails=examples[0].tails) for e in examples[:4]]
    found = shuffle([*twins, *examples[4:]], "text-to-image")
    for index, partner in zip(found.own, found.partner, strict=True):
        assert not (index < 4 and partner < 4)


def test_a_picture_alone_of_its_shape_is_left_out(manifest):
    examples = own(manifest, "image-text")[:4]
    odd = dataclasses.replace(examples[0], content=examples[0].content | {"image": np.zeros((2, 3), np.int32)})
    found = shuffle([odd, *examples[1:]], "image-to-text")
    assert sorted(found.own) == [1, 2, 3]


def test_the_unigram_is_a_count_by_hand(manifest):
    examples = own(manifest, "image-text")
    unigram = Unigram(examples[:10], "text-to-image", VOCABULARY)
    counts = np.ones(VOCABULARY.output_size)
    for example in examples[:10]:
        row = example.row("text-to-image", VOCABULARY, 96)
        for token in row.ids[row.ranges != NO_RANGE]:
            counts[token] += 1
    image = VOCABULARY.ranges[1]
    law = counts[image.start : image.stop] / counts[image.start : image.stop].sum()
    row = examples[20].row("text-to-image", VOCABULARY, 96)
    wanted = -np.log2(law[row.ids[row.roles == TARGET] - image.start]).mean()
    bits, uniform = unigram.bits([examples[20]], "text-to-image")["image"]
    assert bits == pytest.approx(wanted) and uniform == pytest.approx(np.log2(300))
    assert set(TASKS["text-to-image"].targets) == set(unigram.bits(examples, "text-to-image"))
