import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm.problems import Refusal
from mdm.tokens.rows import (
    CONDITION,
    FIXED,
    TARGET,
    Segment,
    build_row,
    content_of,
    row_number,
    segment_length,
    stack,
    tail_length,
)
from mdm.tokens.tasks import TASK_NAMES, TASKS
from mdm.tokens.vocabulary import ENDING, NO_RANGE, Vocabulary, begin, task_token

VOCABULARY = Vocabulary.of({"text": (20,), "image": (30,), "audio": (5, 6)})
LENGTH = 128


@st.composite
def documents(draw, dtype=np.int32):
    rows, columns, frames = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 4))
    codes = lambda n, symbols: draw(st.lists(st.integers(0, symbols - 1), min_size=n, max_size=n))  # noqa: E731
    return {
        "text": np.array(codes(draw(st.integers(0, 6)), 20), dtype),
        "image": np.array(codes(rows * columns, 30), dtype).reshape(rows, columns),
        "audio": np.array([codes(frames, 5), codes(frames, 6)], dtype).T,
    }


tails = st.fixed_dictionaries({"text": st.integers(0, 4), "audio": st.integers(0, 4)})
segments = st.builds(Segment, documents(), st.sampled_from(list(TASKS.values())), tails)
packings = st.lists(segments, max_size=3)


def layout(segment: Segment):
    """The documented layout, one position at a time: (id, (time, row, column), range, role)."""
    v, time = VOCABULARY, 0
    yield v.special(task_token(segment.task.name)), (0, 0, 0), NO_RANGE, FIXED
    for span in segment.task.spans:
        time += 1
        yield v.special(begin(span.modality)), (time, time, time), NO_RANGE, FIXED
        role = TARGET if span.target else CONDITION
        books = v.ranges_of(span.modality)
        codes = segment.document[span.modality]
        if span.modality == "image":
            for (r, c), code in np.ndenumerate(codes):
                yield code + v.ranges[books[0]].start, (time + 1, time + 1 + r, time + 1 + c), books[0], role
            time += max(codes.shape)
            continue
        for place in range(codes.size + segment.tails[span.modality]):
            time += 1
            book = books[place % len(books)]
            r = v.ranges[book]
            yield codes.flat[place] + r.start if place < codes.size else r.end, (time,) * 3, book, role


@given(packings)
def test_row_is_the_documented_layout(packing):
    row = build_row(packing, VOCABULARY, LENGTH)
    expected = [(*position, n) for n, s in enumerate(packing, start=1) for position in layout(s)]
    used = len(expected)
    found = zip(row.ids, map(tuple, row.positions), row.ranges, row.roles, row.segments, strict=True)
    assert list(found)[:used] == expected
    names = [s.task.name for s in packing for _ in layout(s)]
    assert [TASK_NAMES[t] for t in row.tasks[:used]] == names
    for array, padding in zip(row, (VOCABULARY.pad, 0, 0, NO_RANGE, FIXED, -1), strict=True):
        assert (array[used:] == padding).all()


@given(packings)
def test_ids_lie_in_their_ranges_and_specials_are_never_maskable(packing):
    row = build_row(packing, VOCABULARY, LENGTH)
    special = row.ids >= VOCABULARY.output_size
    assert ((row.roles == FIXED) == special).all() and ((row.ranges == NO_RANGE) == special).all()
    for number, r in enumerate(VOCABULARY.ranges):
        own = row.ids[row.ranges == number]
        assert ((r.start <= own) & (own < r.stop)).all()


@given(documents(), tails)
def test_every_task_over_the_same_modalities_takes_the_same_length(document, ends):
    for task in TASKS.values():
        content = {m: document[m].size for m in task.modalities}
        length = segment_length(content, {m: ends.get(m, 0) for m in content})
        row = build_row([Segment(document, task, ends)], VOCABULARY, LENGTH)
        assert (row.segments == 1).sum() == length
        exact = build_row([Segment(document, task, ends)], VOCABULARY, length)
        assert (exact.segments == 1).all()
        with pytest.raises(Refusal, match="does not fit"):
            build_row([Segment(document, task, ends)], VOCABULARY, length - 1)


@given(packings)
def test_ends_stand_in_tails_only_and_content_reads_back(packing):
    row = build_row(packing, VOCABULARY, LENGTH)
    ends = [r.end for r in VOCABULARY.ranges if r.has_end]
    expected = sum(s.tails[m] for s in packing for m in s.task.modalities if m in ENDING)
    assert np.isin(row.ids, ends).sum() == expected
    for number, segment in enumerate(packing, start=1):
        for modality in segment.task.modalities:
            back = content_of(row, row.ids, number, modality, VOCABULARY)
            np.testing.assert_array_equal(back, segment.document[modality].reshape(-1))


def test_a_picture_between_words_by_hand(vocabulary):
    document = {"text": np.array([7, 8]), "image": np.array([[1, 2, 3], [4, 5, 6]])}
    row = build_row([Segment(document, TASKS["image-to-text"], {"text": 1})], vocabulary, 13)
    v = vocabulary
    content = [22, 23, 24, 25, 26, 27, v.special("[text]"), 7, 8, 20]
    assert row.ids.tolist() == [v.special("[task image-to-text]"), v.special("[image]"), *content, v.pad]
    assert row.positions[:, 0].tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 7, 8, 0]
    assert row.positions[:, 1].tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 8, 0]
    assert row.positions[:, 2].tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8, 0]
    assert row.roles.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_narrow_codes_do_not_wrap(dtype):
    v = Vocabulary.of({"text": (65_500,), "image": (200,)})
    document = {"text": np.zeros(0, dtype), "image": np.array([[199]], dtype)}
    row = build_row([Segment(document, TASKS["joint-image-text"], {})], v, 8)
    assert row.ids.max(where=row.ranges == 1, initial=0) == 65_501 + 199


def test_content_stops_at_the_first_end_and_counts_whole_frames(vocabulary):
    audio = np.array([[0, 1], [2, 3], [4, 5]])
    row = build_row(
        [Segment({"audio": audio, "text": np.array([], int)}, TASKS["joint-audio-text"], {})], vocabulary, 16
    )
    ids = row.ids.copy()
    second_book = np.flatnonzero(row.ranges == 3)
    ids[second_book[1]] = vocabulary.ranges[3].end  # frame 1 has lost a code: it and all behind it are gone
    assert content_of(row, ids, 1, "audio", vocabulary).tolist() == [0, 1]
    assert content_of(row, row.ids, 1, "text", vocabulary).size == 0


@pytest.mark.parametrize(
    ("modality", "code"), [("text", 20), ("text", -1), ("image", 30), ("audio", 5), ("image", 2**32)]
)
def test_a_code_outside_its_codebook_is_refused(vocabulary, modality, code):
    document = {"text": np.array([1, 2]), "image": np.array([[3, 4]]), "audio": np.array([[0, 1], [2, 3]])}
    document[modality].flat[0] = code
    task = TASKS["text-to-speech" if modality == "audio" else "text-to-image"]
    with pytest.raises(Refusal) as refusal:
        build_row([Segment(document, task, {"text": 1})], vocabulary, 32)
    assert refusal.value.problems[0].value == code


def test_a_modality_without_codec_or_content_is_refused():
    text = {"text": np.array([1, 2])}
    with pytest.raises(Refusal, match=r"lacks \['image'\]"):
        build_row([Segment(text, TASKS["text-to-image"], {})], VOCABULARY, 32)
    with pytest.raises(Refusal, match="no codec"):
        build_row([Segment(text, TASKS["text"], {})], Vocabulary.of({"image": (5,)}), 32)


def test_a_second_document_that_does_not_fit_is_refused(vocabulary):
    segment = Segment({"text": np.arange(6)}, TASKS["text"], {"text": 1})
    with pytest.raises(Refusal, match="6 positions left"):
        build_row([segment, segment], vocabulary, 15)


@given(st.integers(0, 500), st.integers(0, 2**40))
def test_tail_length_is_bounded_and_a_function_of_the_document(n, document):
    for modality in ENDING:
        tail = int(tail_length(n, document, modality))
        assert 1 <= tail <= 1 + 4 + n // 4
        assert tail == tail_length(np.array([n]), np.array([document]), modality)[0]
    assert tail_length(n, document, "image") == 0


def test_every_tail_length_occurs():
    assert np.unique(tail_length(8, np.arange(300), "text")).tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_stack_and_row_number():
    row = build_row([], VOCABULARY, 4)
    assert all(array.shape[:2] == (3, 4) for array in stack([row] * 3))
    words = row_number(np.array([0, 5, 2**32, 3 * 2**32 + 1]))
    assert words.dtype == np.uint32 and words.tolist() == [[0, 0], [0, 5], [1, 0], [3, 1]]
