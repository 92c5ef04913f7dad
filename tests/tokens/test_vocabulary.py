import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm.problems import Refusal
from mdm.tokens.tasks import TASKS
from mdm.tokens.vocabulary import ENDING, MASK, MODALITIES, PAD, OutputRange, Vocabulary, begin, task_token

codebooks = st.dictionaries(st.sampled_from(MODALITIES), st.lists(st.integers(1, 50), min_size=1, max_size=3))


@given(codebooks)
def test_ids_are_contiguous_and_each_means_one_thing(books):
    v = Vocabulary.of(books)
    owners = [r.name for r in v.ranges for _ in range(r.start, r.stop)]
    assert len(owners) == v.output_size
    assert [i for r in v.ranges for i in range(r.start, r.stop)] == list(range(v.output_size))
    assert sorted(v.special(name) for name in v.specials) == list(range(v.output_size, v.size))
    for modality in MODALITIES:
        own = [v.ranges[i] for i in v.ranges_of(modality)]
        assert [r.symbols for r in own] == books.get(modality, [])
        assert all(r.modality == modality and r.has_end == (modality in ENDING) for r in own)
        assert all(MODALITIES[v.modality_of_range[i]] == modality for i in v.ranges_of(modality))


def test_layout(vocabulary):
    found = [(r.name, r.start, r.symbols, r.size, r.end) for r in vocabulary.ranges]
    assert found == [
        ("text", 0, 20, 21, 20),
        ("image", 21, 30, 30, None),
        ("audio.0", 51, 5, 6, 56),
        ("audio.1", 57, 6, 7, 63),
    ]
    assert (vocabulary.pad, vocabulary.mask) == (64, 65)
    names = [PAD, MASK, *map(begin, MODALITIES), *map(task_token, TASKS)]
    assert [vocabulary.special(name) for name in names] == list(range(64, vocabulary.size))


@given(codebooks)
def test_json_round_trip_keeps_value_and_fingerprint(books):
    v = Vocabulary.of(books)
    again = Vocabulary.from_json(json.loads(v.dumps()))
    assert again == v and again.fingerprint == v.fingerprint


def test_fingerprint_tells_vocabularies_apart(vocabulary):
    others = [Vocabulary.of({"text": (20,)}), Vocabulary.of({"text": (20,), "image": (31,), "audio": (5, 6)})]
    others.append(Vocabulary(vocabulary.ranges, (*vocabulary.specials, "[new]")))
    assert len({v.fingerprint for v in (vocabulary, *others)}) == 4


def test_fingerprint_does_not_drift():
    # Checkpoints and data sets carry it. Taken from a literal, as a new task rightly changes that of `Vocabulary.of`.
    v = Vocabulary((OutputRange("text", "text", 0, 3, True),), (PAD, MASK))
    assert v.fingerprint == "634218e85d7b2363"


@pytest.mark.parametrize("books", [{"video": (5,)}, {"text": ()}, {"text": (0,)}, {"text": (5,), "audio": (5, -1)}])
def test_impossible_codebooks_are_refused(books):
    with pytest.raises(Refusal):
        Vocabulary.of(books)


def _damage(path, value):
    def apply(tree):
        for key in path[:-1]:
            tree = tree[key]
        if value is None:
            del tree[path[-1]]
        else:
            tree[path[-1]] = value

    return apply


@pytest.mark.parametrize(
    "damage",
    [
        _damage(["format"], 99),
        _damage(["format"], None),
        _damage(["ranges"], None),
        _damage(["specials"], None),
        _damage(["ranges"], 3),
        _damage(["ranges", 0], None),
        _damage(["ranges", 1, "start"], 22),
        _damage(["ranges", 1, "start"], "21"),
        _damage(["ranges", 0, "symbols"], "20"),
        _damage(["ranges", 3, "symbols"], -4),
        _damage(["ranges", 0, "has_end"], 1),
        _damage(["ranges", 0, "modality"], "video"),
        _damage(["ranges", 0, "extra"], 1),
        _damage(["ranges", 0, "name"], None),
        _damage(["specials"], ["[PAD]"]),
        _damage(["specials", 3], "[PAD]"),
    ],
)
def test_damaged_json_is_refused_by_name(vocabulary, damage):
    tree = copy.deepcopy(vocabulary.to_json())
    damage(tree)
    with pytest.raises(Refusal) as refusal:
        Vocabulary.from_json(tree, "some/vocabulary.json")
    assert refusal.value.problems[0].where == "some/vocabulary.json"


@pytest.mark.parametrize("value", [None, [], "text", 3, {}])
def test_what_is_no_vocabulary_at_all_is_refused(value):
    with pytest.raises(Refusal):
        Vocabulary.from_json(value)


def test_unknown_special_is_refused(vocabulary):
    with pytest.raises(Refusal, match="task of the future"):
        vocabulary.special("[task of the future]")
