"""Scores of documents: what is kept comes back to the last bit, and pairs tell differences that figures alone do not."""

import dataclasses
import math

import numpy as np
import pytest

from mdm.evaluation import document_scores
from mdm.evaluation.document_scores import DocumentScores, identity, paired
from mdm.evaluation.documents import Example
from mdm.evaluation.statistics import bits_per_token
from mdm.problems import Refusal


def scores(nats, names, targets=5, **changes):
    nats = np.atleast_2d(nats)
    own = {"split": "heldout", "stream": "s", "task": "text", "modality": "text", "what": "likelihood", "order": None,
           "data": "d", "seeds": tuple(range(len(nats))), "documents": tuple(names), "groups": tuple(names),
           "targets": np.full(len(names), targets), "nats": nats}  # fmt: skip
    return DocumentScores(**(own | changes))


def test_pairs_tell_what_two_figures_do_not():
    """80 documents that differ by 3 nats among each other; the second model is worse by 0.5 +- 0.1 on each."""
    rng = np.random.default_rng(0)
    names = [f"{n}" for n in range(80)]
    level, noise = rng.normal(20, 3, 80), rng.normal(0, 1, (2, 80))
    one = scores(level + noise, names)
    shuffled = rng.permutation(80)
    other = scores((level + noise + rng.normal(0.5, 0.1, 80))[:, shuffled], [names[i] for i in shuffled])
    found = paired(other, one)
    assert (found.documents, found.groups) == (80, 80)
    assert found.bits == pytest.approx(0.5 / 5 / math.log(2), abs=3 * found.se_data)
    assert found.se_data < bits_per_token(one.nats, one.targets, names).se_data / 10
    assert found.se_noise == pytest.approx(0, abs=1e-9)  # the same seeds: all of it cancels
    assert paired(one, other).bits == pytest.approx(-found.bits)


def test_the_error_is_of_concepts_and_as_large_as_the_spread():
    rng = np.random.default_rng(1)
    groups = tuple(f"{n // 3}" for n in range(120))
    names, found = [f"{n}" for n in range(120)], []
    for _ in range(150):
        worse = np.repeat(rng.normal(0, 1, 40), 3)
        found.append(paired(scores(20 + worse, names, groups=groups), scores(np.full(120, 20.0), names, groups=groups)))
    assert found[0].groups == 40 and found[0].se_noise is None  # one seed
    assert np.mean([f.se_data for f in found]) == pytest.approx(np.std([f.bits for f in found]), rel=0.2)


def test_only_documents_that_both_have_count():
    one, other = scores([1.0, 2.0, 3.0], "abc"), scores([9.0, 3.0, 2.0], "dbc")
    found = paired(one, other)
    assert found.documents == 2 and found.bits == pytest.approx(0)
    assert paired(one, scores([5.0], "b")).documents == 1
    with pytest.raises(Refusal, match="share none of their 3 and 1 documents"):
        paired(one, scores([5.0], "x"))
    with pytest.raises(Refusal, match="not of the same"):
        paired(one, dataclasses.replace(other, modality="image"))


def test_other_seeds_may_be_compared_but_share_no_noise():
    one = scores([[1.0, 2.0], [3.0, 4.0]], "ab")
    found = paired(one, scores([[1.0, 2.0]], "ab", seeds=(7,)))
    assert found.bits == pytest.approx(2 / 10 / math.log(2)) and found.se_noise is None


def test_what_is_written_comes_back_to_the_last_bit(tmp_path):
    path, stamp = tmp_path / "scores.jsonl", {"step": 3, "config": "c", "weights": "ema"}
    one, chain = (
        scores(np.random.default_rng(0).normal(size=(2, 3)), "abc"),
        scores([1 / 3], "a", what="chain-rule", order="random"),
    )
    document_scores.write(path, [one], stamp)
    document_scores.write(path, [chain], stamp)
    document_scores.write(path, [dataclasses.replace(one, nats=one.nats * 2)], stamp)  # made again
    first, second = document_scores.read(path)
    assert first.place == one.place and second.place == chain.place and (first.step, first.weights) == (3, "ema")
    np.testing.assert_array_equal(first.nats, one.nats * 2)
    assert first.documents == one.documents and first.seeds == one.seeds and paired(first, one).documents == 3


@pytest.mark.parametrize("content", [None, "{", "{}", '{"seeds": 3}'])
def test_a_file_that_holds_none_is_refused_by_name(tmp_path, content):
    if content is not None:
        (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(Refusal, match=r"a\.jsonl"):
        document_scores.read(tmp_path / "a.jsonl")


def test_a_document_is_known_by_its_place_and_its_codes():
    def example(number, codes, group="g"):
        return Example(number, "key", group, {"text": np.array(codes, np.int32)}, {"text": 1})

    own = identity([example(1, [1, 2]), example(2, [1, 2]), example(1, [1, 3]), example(1, [1, 2], "h")])
    first, place, codes, group = own["documents"]
    assert len({first, place, codes}) == 3 and group == first
    assert own["groups"][0] == own["groups"][1] != own["groups"][3]
