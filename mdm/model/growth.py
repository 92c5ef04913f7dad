"""A network whose vocabulary has grown takes over all that an earlier one knew."""

from __future__ import annotations

import numpy as np

from mdm.model.network import Parameters
from mdm.problems import Problem, refuse_if
from mdm.tokens.vocabulary import Vocabulary


def problems(vocabulary: Vocabulary, before: Vocabulary) -> list[Problem]:
    """What of the vocabulary `before` has no place in `vocabulary`."""
    own = {r.name: r.symbols for r in vocabulary.ranges}
    remedy = "prepare the data with the codecs of that run, or with larger ones"
    return [
        Problem(
            f"codebook {r.name}",
            own[r.name] if r.name in own else None,
            f"the run it begins from has {r.symbols}",
            remedy,
        )
        for r in before.ranges
        if r.name not in own or own[r.name] < r.symbols
    ]


def carried(parameters: Parameters, earlier: Parameters, vocabulary: Vocabulary, before: Vocabulary) -> Parameters:
    """`earlier`, of a network with the vocabulary `before`, in the shape of `parameters`; what is new in `vocabulary` stands as
    it does in `parameters`.

    Symbols go by their range and number, ENDs by their range, special tokens by their name. Raises Refusal as `problems` says.
    """
    refuse_if(problems(vocabulary, before))
    own, theirs = shared(vocabulary, before)
    columns = own < vocabulary.output_size
    numbers = [next(i for i, r in enumerate(vocabulary.ranges) if r.name == old.name) for old in before.ranges]
    # The last row of the ranges' table is that of positions without a range.
    rows = {
        "embedding": (own, theirs),
        "unembedding": (own[columns], theirs[columns]),
        "range_embedding": ([*numbers, len(vocabulary.ranges)], [*range(len(before.ranges)), len(before.ranges)]),
    }
    tables = {
        name: parameters[name].at[np.array(to)].set(earlier[name][np.array(source)])
        for name, (to, source) in rows.items()
    }
    return {**earlier, **tables}


def shared(vocabulary: Vocabulary, before: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """(ids in `vocabulary`, ids in `before`) of all that both have."""
    ids, old_ids = [], []
    own = {r.name: r for r in vocabulary.ranges}
    for old in before.ranges:
        new, symbols = own[old.name], np.arange(old.symbols)
        ids.append(new.start + symbols)
        old_ids.append(old.start + symbols)
        if old.end is not None:
            ids.append([new.end])
            old_ids.append([old.end])
    names = [name for name in before.specials if name in vocabulary.specials]
    ids.append([vocabulary.special(name) for name in names])
    old_ids.append([before.special(name) for name in names])
    return np.concatenate(ids).astype(np.int64), np.concatenate(old_ids).astype(np.int64)
