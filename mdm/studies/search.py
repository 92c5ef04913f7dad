"""Search over settings with Optuna: suggestions in rounds, each a trial like any other. Needs the extra `studies`.

A search runs for each trial of the product, and begins with that trial as it is: what suggestions are compared with. Its state is
a journal file; a suggestion whose trial was not finished when the study was stopped, or failed, is taken up again before a new
one is asked for. A round holds as many suggestions as may run at the same time, and all of them are told at its end: with as many
at a time, a search that was stopped goes on with what it would have suggested.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.studies import dotted
from mdm.studies.folder import StudyFolder
from mdm.studies.plan import Trial, make_trial
from mdm.studies.study import Search
from mdm.studies.work import Work
from mdm.tokens.hashing import mix


def require() -> None:
    """Raises Refusal, naming the extra, if Optuna is missing."""
    if importlib.util.find_spec("optuna") is None:
        raise Refusal(Problem("the search", None, "optuna is not installed", "pip install 'mdm[studies]'"))


class Searcher:
    """The searches of a study, one for each of its `starts`."""

    def __init__(self, search: Search, starts: Sequence[Trial], folder: StudyFolder, work: Work, seed: int = 0):
        require()
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(os.fspath(folder.journal)))
        self._search, self._folder, self._work = search, folder, work
        self._sampler, self._seed = optuna.samplers.TPESampler, seed
        self._running = optuna.trial.TrialState.RUNNING
        self._space = {
            key: optuna.distributions.FloatDistribution(*ends, log=True) for key, ends in search.space.items()
        }
        self._studies = []
        for start in starts:
            # The space is part of the name: suggestions of another one say nothing about this one.
            space = {key: list(ends) for key, ends in search.space.items()}
            name = fingerprint([start.id, space, search.metric])
            self._studies.append((start, optuna.create_study(storage=storage, study_name=name, load_if_exists=True)))

    def trials(self) -> tuple[Trial, ...]:
        """All that were suggested so far, finished or not."""
        return tuple(
            self._trial(start, own.number, own.params)
            for start, study in self._studies
            for own in study.get_trials()
            if self._whole(own)
        )

    def run(self, perform: Callable[[Sequence[Trial]], None], at_once: int = 1) -> None:
        """Suggests and performs until each search has all its trials, or has one that failed.

        perform: runs trials; those with a result afterwards are finished. at_once: how many of them at the same time
        """
        for start, study in self._studies:
            own = {key: float(dotted.value(start.config, key)) for key in self._space}
            study.enqueue_trial(own, skip_if_exists=True)
        live = list(self._studies)
        while live:
            each = -(-at_once // len(live))
            asked = [(start, study, own) for start, study in live for own in self._round(study, each)]
            if not asked:
                return
            batch = [self._trial(start, own.number, own.params) for start, _, own in asked]
            perform(batch)
            failed = []
            for (_, study, own), trial in zip(asked, batch, strict=True):
                result = self._folder.read_result(trial.id)
                if result is None:
                    failed.append(study)  # tried again at the next start
                    continue
                value = result["metrics"][self._search.metric]
                # TPE splits trials by rank: a run that diverged is the worst, however bad the others are.
                study.tell(own.number, float("inf") if value is None else value)
            live = [
                (start, study) for start, study in live if study not in failed and any(study is s for _, s, _ in asked)
            ]

    def _round(self, study, most: int) -> list:
        """Suggestions that were stopped, and new ones up to a multiple of `most`; none if there were enough."""
        asked = [own for own in study.get_trials() if self._whole(own)]
        found = [own for own in asked if own.state == self._running]
        count = len(asked)
        while count < self._search.trials + 1 and (not found or count % most):
            # Seeded for each suggestion.
            study.sampler = self._sampler(
                seed=int(mix(self._seed, count)) >> 33, n_startup_trials=max(4, self._search.trials // 4)
            )
            found.append(study.ask(self._space))
            count += 1
        return found

    def _whole(self, own) -> bool:
        """Whether it was suggested: not cut off before, nor only waiting for it."""
        return set(own.params) == set(self._space)

    def _trial(self, start: Trial, number: int, suggested: Mapping[str, float]) -> Trial:
        levels = {**start.levels, self._search.name: str(number)}
        return make_trial(start.config, levels, suggested, self._work)[0]
