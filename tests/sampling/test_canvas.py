import numpy as np
import pytest

from mdm.problems import Refusal
from mdm.sampling.canvas import Layout, Request, build_canvas, expected_tail, layout_of, read_canvas, trim_canvas
from mdm.tokens.rows import Segment, build_row, segment_length, tail_length
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import Vocabulary

LENGTH = 64
DOCUMENT = {
    "text": np.arange(6, dtype=np.int32),
    "image": np.arange(9, dtype=np.int32).reshape(3, 3),
    "audio": np.arange(10, dtype=np.int32).reshape(5, 2) % 5,
}


def training_row(task, tails, vocabulary):
    return build_row([Segment({m: DOCUMENT[m] for m in task.modalities}, task, tails)], vocabulary, LENGTH)


@pytest.mark.parametrize("name", TASKS)
def test_generation_rows_equal_training_rows(name, vocabulary):
    task = TASKS[name]
    tails = {m: 0 if m in task.targets else expected_tail(DOCUMENT[m].size, m) for m in task.modalities}
    trained = training_row(task, tails, vocabulary)
    given = {m: DOCUMENT[m] for m in task.conditions}
    canvas = build_canvas([Request(name, given, {m: DOCUMENT[m].shape for m in task.targets})], vocabulary, LENGTH)
    masked = canvas.masked[0]
    assert masked.sum() == sum(DOCUMENT[m].size for m in task.targets)
    for field, ours, theirs in zip(trained._fields, canvas.rows, trained, strict=True):
        keep = ~masked if field == "ids" else slice(None)
        np.testing.assert_array_equal(ours[0][keep], theirs[keep], err_msg=field)
    np.testing.assert_array_equal(canvas.rows.ids[0] == vocabulary.mask, masked)


@pytest.mark.parametrize("name", TASKS)
def test_known_as_a_whole_is_the_training_row_itself(name, vocabulary):
    task = TASKS[name]
    tails = {m: expected_tail(DOCUMENT[m].size, m) for m in task.modalities}
    canvas = build_canvas([Request(name, {m: DOCUMENT[m] for m in task.modalities})], vocabulary, LENGTH)
    assert not canvas.masked.any()
    for ours, theirs in zip(canvas.rows, training_row(task, tails, vocabulary), strict=True):
        np.testing.assert_array_equal(ours[0], theirs)


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_infilling_masks_what_is_not_known(modality, vocabulary):
    task = {"text": "text", "image": "text-to-image", "audio": "text-to-speech"}[modality]
    known = np.random.default_rng(1).random(DOCUMENT[modality].shape) < 0.5
    known.flat[-1] = True
    given = {m: DOCUMENT[m] for m in TASKS[task].modalities}
    canvas = build_canvas([Request(task, given, known={modality: known})], vocabulary, LENGTH)
    whole = build_canvas([Request(task, given)], vocabulary, LENGTH)
    assert canvas.masked.sum() == (~known).sum()
    np.testing.assert_array_equal(
        canvas.rows.ids, np.where(canvas.masked, vocabulary.mask, whole.rows.ids), err_msg="a known code moved"
    )


def test_a_span_whose_last_code_is_unknown_stays_open(vocabulary):
    known = np.array([True, True, False, False, False, False])
    canvas = build_canvas([Request("text", {"text": DOCUMENT["text"]}, known={"text": known})], vocabulary, LENGTH)
    assert (canvas.rows.segments[0] > 0).sum() == 2 + 6  # task, begin, six codes, no tail
    assert canvas.masked[0, 4:8].all() and canvas.masked.sum() == 4


@pytest.mark.parametrize(
    ("n", "modality"),
    [(1, "text"), (7, "text"), (40, "audio"), (100, "text"), (300, "text"), (2000, "audio"), (64, "image")],
)
def test_expected_tail_is_the_mean_of_training(n, modality):
    tails = tail_length(n, np.arange(20000), modality)
    error = 4 * tails.std() / np.sqrt(tails.size)
    assert tails.mean() - 0.5 - error <= expected_tail(n, modality) <= tails.mean() + error


def test_a_target_of_exact_length_has_the_tail_of_training(vocabulary):
    request = Request("text", {}, {"text": (6,)}, exact=("text",))
    canvas = build_canvas([request], vocabulary, LENGTH)
    trained = training_row(TASKS["text"], {"text": expected_tail(6, "text")}, vocabulary)
    np.testing.assert_array_equal(canvas.rows.ids[0][~canvas.masked[0]], trained.ids[~canvas.masked[0]])
    assert canvas.masked.sum() == 6


def test_read_canvas_gives_codes_up_to_the_end_in_their_shapes(vocabulary):
    request = Request("joint-audio-text", {"text": DOCUMENT["text"], "audio": DOCUMENT["audio"]})
    canvas = build_canvas([request], vocabulary, LENGTH)
    (codes,) = read_canvas(canvas, [request], vocabulary)
    np.testing.assert_array_equal(codes["text"], DOCUMENT["text"])
    np.testing.assert_array_equal(codes["audio"], DOCUMENT["audio"])
    request = Request("text-to-image", {"text": DOCUMENT["text"], "image": DOCUMENT["image"]})
    (codes,) = read_canvas(build_canvas([request], vocabulary, LENGTH), [request], vocabulary)
    np.testing.assert_array_equal(codes["image"], DOCUMENT["image"])


def test_layout_depends_on_shapes_only(vocabulary):
    build = lambda known, codes: build_canvas(  # noqa: E731
        [Request("text-to-image", {"text": codes, "image": DOCUMENT["image"]}, known={"image": known})],
        vocabulary,
        LENGTH,
    )
    first = layout_of(build(np.zeros((3, 3), bool), DOCUMENT["text"]), vocabulary)
    assert first == layout_of(build(np.eye(3, dtype=bool), DOCUMENT["text"][::-1]), vocabulary)
    assert first == Layout((0, 9, 0, 0), conditional=True)


TEXT, IMAGE = DOCUMENT["text"], DOCUMENT["image"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("text-to-video", {}), ["request 0.task", "text-to-video", "text-to-image"]),
        (Request("text-to-image", {}, {"image": (3, 3)}), ["request 0.given.text", "needs its text"]),
        (Request("text-to-image", {"text": TEXT}), ["request 0.shapes.image"]),
        (Request("text-to-image", {"text": TEXT, "image": IMAGE}, {"image": (3, 3)}), ["request 0.shapes.image"]),
        (Request("text", {"audio": DOCUMENT["audio"]}, {"text": (4,)}), ["request 0.given", "audio"]),
        (Request("text-to-image", {"text": TEXT}, {"image": (9,)}), ["request 0.image", "(rows, columns)"]),
        (Request("text-to-image", {"text": TEXT}, {"image": (3, 0)}), ["request 0.image"]),
        (Request("text-to-image", {"text": TEXT}, {"image": (3.5, 3)}), ["request 0.image"]),
        (Request("text-to-speech", {"text": TEXT}, {"audio": (5, 3)}), ["request 0.audio", "(frames, 2)"]),
        (Request("text", {"text": TEXT}, known={"text": np.ones(5, bool)}), ["request 0.known.text", "(6,)"]),
        (Request("text", {}, {"text": (4,)}, known={"text": np.ones(4, bool)}), ["request 0.known.text"]),
        (Request("text-to-image", {"text": TEXT}, {"image": (3, 3)}, exact=("image",)), ["request 0.exact", "image"]),
        (Request("text", {"text": TEXT * 0.5}), ["request 0.given.text", "integers"]),
        (Request("text", {}, {"text": (63,)}), ["65 positions", "row of 64", "text 63"]),
        (Request("text", {"text": TEXT + 2}), ["codes of text", "codebook of 7"]),
    ],
)
def test_refusals_name_what_is_wrong(request_, words, vocabulary):
    with pytest.raises(Refusal) as caught:
        build_canvas([request_], vocabulary, LENGTH)
    for word in words:
        assert word in str(caught.value)


def test_a_modality_without_codec_and_an_empty_list_are_refused():
    words_only = Vocabulary.of({"text": (7,)})
    with pytest.raises(Refusal, match="no image codec"):
        build_canvas([Request("text-to-image", {"text": TEXT}, {"image": (3, 3)})], words_only, LENGTH)
    with pytest.raises(Refusal, match="requests"):
        build_canvas([], words_only, LENGTH)


def test_every_request_is_named(vocabulary):
    good = Request("text", {}, {"text": (4,)})
    with pytest.raises(Refusal) as caught:
        build_canvas([good, Request("video", {}), Request("text", {})], vocabulary, LENGTH)
    assert [problem.where for problem in caught.value.problems] == ["request 1.task", "request 2.shapes.text"]


def test_the_longest_request_that_fits_fits(vocabulary):
    canvas = build_canvas([Request("text", {}, {"text": (62,)})], vocabulary, LENGTH)
    assert canvas.masked.sum() == 62 and segment_length({"text": 62}, {"text": 0}) == LENGTH


def test_trimming_takes_only_padding_away(vocabulary):
    request = Request("text", {}, {"text": (11,)})
    whole = build_canvas([request, Request("text", {}, {"text": (5,)})], vocabulary, LENGTH)
    trimmed = trim_canvas(whole, 4)
    assert trimmed.masked.shape[1] == 16 < LENGTH  # boundary tokens, 11 positions, up to a multiple of 4
    assert not (whole.rows.segments[:, 16:] > 0).any()
    np.testing.assert_array_equal(trimmed.rows.ids, whole.rows.ids[:, :16])
    np.testing.assert_array_equal(trimmed.masked, whole.masked[:, :16])
    assert trimmed.rows.positions.shape == (2, 16, 3)
