"""Search over settings with Optuna: suggestions one after the other, each a trial like any other. Needs the extra `studies`.

A search runs for each trial of the product. Its state is a journal file; a suggestion whose trial was not finished when the study
was stopped, or failed, is taken up again before a new one is asked for.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
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
        self._finished = optuna.trial.TrialState.COMPLETE
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
            self._trial(start, own.number, own.params) for start, study in self._studies for own in study.get_trials()
        )

    def run(self, perform: Callable[[Sequence[Trial]], None]) -> None:
        """Suggests and performs until each search has all its trials, or has one that failed.

        perform: runs trials, at most one of each search at a time; those with a result afterwards are finished.
        """
        live = list(self._studies)
        while True:
            asked = [(start, study, own) for start, study in live if (own := self._next(study)) is not None]
            if not asked:
                return
            batch = [self._trial(start, own.number, own.params) for start, _, own in asked]
            perform(batch)
            live = []
            for (start, study, own), trial in zip(asked, batch, strict=True):
                result = self._folder.read_result(trial.id)
                if result is None:
                    continue  # tried again at the next start
                value = result["metrics"][self._search.metric]
                # TPE splits trials by rank: a run that diverged is the worst, however bad the others are.
                study.tell(own.number, float("inf") if value is None else value)
                live.append((start, study))

    def _next(self, study):
        """The suggestion that was stopped, or a new one; None if there were enough."""
        trials = study.get_trials()
        stopped = [own for own in trials if own.state == self._running and set(own.params) == set(self._space)]
        if stopped:
            return stopped[0]
        if sum(own.state == self._finished for own in trials) >= self._search.trials:
            return None
        # Seeded for each suggestion: a search that was stopped goes on with what it would have suggested.
        study.sampler = self._sampler(
            seed=int(mix(self._seed, len(trials))) >> 33, n_startup_trials=max(4, self._search.trials // 4)
        )
        return study.ask(self._space)

    def _trial(self, start: Trial, number: int, suggested: Mapping[str, float]) -> Trial:
        levels = {**start.levels, self._search.name: str(number)}
        return make_trial(start.config, levels, suggested, self._work)[0]
