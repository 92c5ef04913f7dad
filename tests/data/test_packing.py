import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm.data import packing
from mdm.data.packing import Manner
from mdm.data.plans import PlanFolder
from mdm.problems import Refusal
from tests.data import synthetic

lengths = st.lists(st.integers(1, 64), min_size=1, max_size=80)


@given(lengths)
@settings(deadline=None)
def test_whole_documents_stand_once_each_and_fit(lengths):
    rows = packing.pack_whole(np.array(lengths), 64)
    assert sorted(d for row in rows for d in row) == list(range(len(lengths)))
    assert all(sum(lengths[d] for d in row) <= 64 for row in rows)
    assert len(rows) <= 2 * -(-sum(lengths) // 64)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 30)), min_size=1, max_size=40), st.integers(48, 130))
@settings(deadline=None, max_examples=300)
def test_split_documents_are_covered_in_order_with_their_tails(documents, row_length):
    content, tails = (np.array(part) for part in zip(*documents, strict=True))
    rows = packing.pack_split(content, tails, row_length)
    pieces = [piece for row in rows for piece in row]
    for document, (n, _) in enumerate(documents):
        own = [(start, stop) for d, start, stop in pieces if d == document]
        assert [start for start, _ in own] == [0, *(stop for _, stop in own[:-1])] and own[-1][1] == n
        assert all(stop > start for start, stop in own)
    for row in rows:
        used = sum(packing.OVERHEAD + stop - start + (tails[d] if stop == content[d] else 0) for d, start, stop in row)
        assert 0 < used <= row_length


def test_fill_of_prose_and_pairs():
    rng = np.random.default_rng(0)
    prose = rng.integers(200, 3000, 200)
    rows = packing.pack_split(prose, np.full(200, 5), 512)
    used = sum(packing.OVERHEAD + stop - start for row in rows for _, start, stop in row) + 5 * 200
    assert used / (len(rows) * 512) > 0.97
    pairs = rng.integers(70, 95, 3000)
    assert pairs.sum() / (len(packing.pack_whole(pairs, 512)) * 512) > 0.98


def test_a_document_longer_than_a_row_is_named(tmp_path):
    manifest = synthetic.write(tmp_path)
    folder = PlanFolder(tmp_path, manifest.streams["image-text"], Manner(20, split=False))
    with pytest.raises(Refusal, match=r"mdm-train.*record \d+.*longer than a row of 20.*data.row_length.*drop_long"):
        folder.rows_and_fill("train")


def test_a_row_that_is_shorter_than_a_tail_is_refused_for_that_reason(tmp_path):
    manifest = synthetic.write(tmp_path)
    manner = Manner(20, split=True)
    count, least = packing.too_long(tmp_path, manifest.streams["text"], manner)
    folder = PlanFolder(tmp_path, manifest.streams["text"], manner)
    with pytest.raises(Refusal, match="tail of ENDs and one position of text.*cutting its text does not help") as told:
        folder.rows_and_fill("train")
    assert "split" not in str(told.value) and len(told.value.problems) < 1 + count
    first = str(told.value.problems[0])
    assert f"stream text train = {count}: of 60 documents" in first and f"raise data.row_length to {least}, " in first


@pytest.mark.parametrize(
    ("stream", "manner"), [("audio-text", Manner(40, False, True)), ("text", Manner(16, True, True))]
)
def test_documents_that_do_not_fit_are_dropped_and_counted_where_the_stream_says_so(tmp_path, stream, manner):
    manifest = synthetic.write(tmp_path)
    own = manifest.streams[stream]
    count, least = packing.too_long(tmp_path, own, manner)
    assert 0 < count < 60 and packing.too_long(tmp_path, own, dataclasses.replace(manner, row_length=least))[0] == 0
    for _ in range(2):  # made, and found again
        folder = PlanFolder(tmp_path, own, manner)
        rows, fill, dropped = folder.rows_and_fill("train")
        assert dropped == count and 0 < fill <= 1
    kept = 0
    for number, shard in enumerate(own.shards["train"]):
        plan = folder.plan(shard)
        documents = np.unique(plan.pieces[:, 0])
        kept += len(documents)
        one = packing.make(tmp_path, own, shard, dataclasses.replace(manner, row_length=least, drop=False))
        assert plan.count == rows[number] and set(documents) < set(np.unique(one.pieces[:, 0]))
    assert kept == 60 - count
