"""Texts behind a context: what is scored, what is seen, and multiple choice made of it."""

import dataclasses
import functools
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from mdm.codecs.text_bpe import Bpe, BpeSettings
from mdm.codecs.text_bytes import Bytes
from mdm.evaluation import choices
from mdm.evaluation.continuations import TextScorer, TextScoring, continuation, shared_room
from mdm.problems import Refusal
from mdm.tokens.rows import FIXED, TARGET
from mdm.tokens.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of({"text": (256,)})
ROW = 64


@dataclasses.dataclass(frozen=True)
class Echo:
    """A network that expects the letter that is most frequent among those it sees, by `parameters` nats over each other."""

    vocabulary: Vocabulary = VOCABULARY

    def bind(self, parameters):
        return _Bound(parameters)


class _Bound:
    def __init__(self, sure):
        self._sure = sure

    def hidden(self, ids, segments, positions, ranges):
        seen = (ranges == 0) & (ids < 256)
        counts = jnp.where(seen[..., None], ids[..., None] == jnp.arange(257), False).sum(axis=1)
        best = counts == counts.max(axis=1, keepdims=True)
        logits = self._sure * best.astype(jnp.float32)
        return jnp.broadcast_to(logits[:, None], (*ids.shape, 257))

    def cross_entropy(self, hidden, target, ranges, weight, z_weight):
        nats = jnp.where(
            ranges == 0, -jnp.take_along_axis(_log_softmax(hidden), target[..., None] % 257, -1)[..., 0], 0
        )
        return jnp.sum(weight * nats), nats

    def logits(self, hidden, number):
        return hidden


def _log_softmax(logits):
    return logits - jnp.log(jnp.exp(logits).sum(-1, keepdims=True))


@functools.cache  # compiled once for all tests
def scorer(method="elbo", batch_rows=4, repeats=1, seed=0, samples=4):
    return TextScorer(Echo(), Bytes(), ROW, TextScoring(method, samples, repeats, batch_rows, seed))


def scored(pairs, sure=3.0, **settings):
    own = scorer(**settings)
    return own.scores(np.float32(sure), [own.read(*pair) for pair in pairs])


def test_the_context_is_seen_and_the_continuation_is_masked():
    own = continuation(Bytes(), "aaaa", "bb", ROW)
    row = own.row("text", VOCABULARY, 32)
    assert own.positions == 8 and own.cut == 0
    assert row.roles[:8].tolist() == [FIXED] * 6 + [TARGET] * 2
    assert bytes(row.ids[2:8].tolist()) == b"aaaabb"


def test_a_code_that_spans_the_boundary_is_scored_whole():
    codec = Bpe.fit(["ab ab ab abc abc"] * 20, BpeSettings(vocabulary=262), progress=lambda *_: None, state=None)
    apart = [codec.encode([text])[0].size for text in ("a", "b")]
    own = continuation(codec, "a", "b ab ab", ROW)
    assert apart == [1, 1] and own.codes.size == 3 and own.start == 0  # "ab" is one code
    assert codec.decode([own.codes]) == ["ab ab ab"]


def test_a_context_that_is_too_long_loses_its_beginning_and_says_so():
    own = continuation(Bytes(), "x" * 100 + "yz", "ab", ROW)
    assert own.positions == ROW and own.cut == 42 and bytes(own.codes[-4:].tolist()) == b"yzab"
    (score,) = scored([("x" * 100, "ab")])
    assert score.cut == 40 and score.tokens == 2


@pytest.mark.parametrize(
    "context, wanted, shares",
    [
        (10, 20, (10, 20)),  # both fit
        (60, 20, (42, 20)),
        (100, 256, (31, 31)),  # half of the row, however much is wanted
        (5, 256, (5, 57)),
        (0, 256, (0, 62)),
        (100, 1, (61, 1)),
    ],
)
def test_a_context_claims_half_of_the_row_before_anything_is_written(context, wanted, shares):
    assert shared_room(context, wanted, ROW) == shares


def test_a_continuation_that_is_empty_or_longer_than_a_row_is_refused():
    with pytest.raises(Refusal, match="empty"):
        continuation(Bytes(), "a", "", ROW)
    with pytest.raises(Refusal, match="a row has 62"):
        continuation(Bytes(), "a", "b" * 63, ROW)
    assert continuation(Bytes(), "a", "b" * 62, ROW).start == 0


@pytest.mark.parametrize("method", ["elbo", "forward", "random"])
def test_without_knowledge_every_code_costs_the_logarithm_of_the_range(method):
    for score, size in zip(scored([("", "abc"), ("xy", "z")], 0.0, method=method), (3, 1), strict=True):
        assert score.nats == pytest.approx(size * math.log(257), rel=1e-6) and score.tokens == size


@pytest.mark.parametrize("method", ["elbo", "forward"])
def test_a_score_depends_on_nothing_but_its_pair(method):
    pairs = [("aab", "a"), ("", "hello there"), ("x" * 40, "xy"), ("aab", "b"), ("q", "qqq")]
    together = scored(pairs, method=method)
    alone = [scored([pair], method=method, batch_rows=1)[0] for pair in pairs]
    np.testing.assert_allclose([s.nats for s in together], [s.nats for s in alone], rtol=1e-6)


def test_only_the_chain_rule_tells_what_is_likeliest():
    pairs = [("aaa", "aa"), ("aaa", "ab")]
    assert [s.likeliest for s in scored(pairs, method="forward")] == [True, False]
    assert [s.likeliest for s in scored(pairs)] == [None, None]


def test_repeats_average_over_orders():
    """Two letters have two orders: one order alone is one of both, the mean over many is that of both, and so is the ELBO. What
    is seen first of "ac" decides how many letters are the most frequent ones."""
    pair = [("ab", "ac")]
    single = [scored(pair, 5.0, method="random", seed=seed)[0].nats for seed in range(8)]
    low, high = min(single), max(single)
    assert high > low + 0.1 and all(min(abs(own - low), abs(own - high)) < 1e-5 for own in single)
    (mean,) = scored(pair, 5.0, method="random", repeats=64)
    share = (mean.nats - low) / (high - low) * 64
    assert share == pytest.approx(round(share), abs=1e-2) and 16 < share < 48
    (elbo,) = scored(pair, 5.0, samples=32, repeats=8)
    assert elbo.nats == pytest.approx((low + high) / 2, abs=(high - low) / 4)


def test_repeats_of_one_order_are_refused():
    (problem,) = TextScoring("forward", repeats=2).problems("scoring")
    assert problem.where == "scoring.repeats" and TextScoring("random", repeats=2).problems("scoring") == []
    assert len(TextScoring("random", repeats=3).seeds) == 3


def test_a_long_text_is_cut_into_rows():
    own = scorer()
    pieces = own.pieces("a" * 150)
    assert [piece.codes.size for piece in pieces] == [62, 62, 26] and all(piece.start == 0 for piece in pieces)


def write(path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def question(context, options, answer):
    return {"context": context, "choices": options, "answer": answer}


def test_accuracy_with_its_error_also_by_length(tmp_path):
    path = write(
        tmp_path / "letters.jsonl",
        question("aaaa", ["a", "b"], 0),
        question("bbbb", ["a", "b"], 0),  # the model says b
        "",
        question("cccc", ["cccc", "d"], 0),  # four letters of 1.7 nats each cost more than one of 5.7
        question("dddd", ["x", "d"], 1),
    )
    found = choices.measure(scorer(), np.float32(4.0), path)
    assert found.questions == 4 and found.chance == 0.5
    assert found.accuracy == 0.5 and found.accuracy_by_length == 0.75
    assert found.se_data == pytest.approx(math.sqrt(0.25 / 3)) and found.by_length_se_data == pytest.approx(0.25)
    told = json.loads(json.dumps(found.to_json()))
    assert told["scoring"]["method"] == "elbo" and told["seeds"] == list(scorer().settings.seeds)


def test_who_knows_nothing_gets_what_guessing_gets(tmp_path):
    path = write(tmp_path / "a.jsonl", question("x", ["a", "b", "c", "d"], 0), question("y", ["a", "b"], 1))
    found = choices.measure(scorer(), np.float32(0), path)
    assert found.accuracy == found.chance == pytest.approx(0.375)


def test_every_malformed_line_is_named(tmp_path):
    good = question("a", ["b", "c"], 1)
    bad = ["{", "[1]", json.dumps({"context": "a", "choices": ["b", "c"]}), json.dumps(good | {"choices": ["b"]}),
           json.dumps(good | {"answer": 2}), json.dumps(good | {"answer": True}), json.dumps(good | {"choices": ["b", ""]}),
           json.dumps(good | {"context": 3}), "[" * 100_000]  # fmt: skip
    with pytest.raises(Refusal) as refusal:
        choices.read(write(tmp_path / "a.jsonl", good, *bad))
    assert [p.where.split(": ")[1] for p in refusal.value.problems] == [f"line {n}" for n in range(2, 11)]
    assert "lacks 'answer'" in str(refusal.value)


def test_a_line_ends_where_json_lines_says(tmp_path):
    """U+2028 and its like may stand in a JSON text as they are; a blank line has a number too."""
    path = tmp_path / "a.jsonl"
    separated = json.dumps(question("one\u2028two\x85", ["b", "c"], 1), ensure_ascii=False)
    path.write_bytes(f"{separated}\r\n\r\n{json.dumps(question('a', ['b', 'x' * 90], 0))}\n".encode())
    first, second = choices.read(path)
    assert first.context == "one\u2028two\x85" and (first.line, second.line) == (1, 3)
    with pytest.raises(Refusal, match=r"a\.jsonl: line 3: continuation = 'x+': takes 90 positions"):
        choices.measure(scorer(), np.float32(0), path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_file_that_is_none_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refusal, match=r"a\.jsonl"):
        choices.read(path)
