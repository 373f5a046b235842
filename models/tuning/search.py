"""Runs one trial after the other: suggest, train, judge, stop early what cannot win."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from models.errors import TrainError, TrainMemoryError
from models.training.train import train
from models.training.trainer import Factors
from models.tuning.part import Part
from models.tuning.space import Space

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
_STATES = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}
_RANDOM = 6
"""Trials that are drawn at random before earlier ones guide the next."""
_WATCHED = 2_000
"""Users whose NDCG after each iteration decides whether a trial continues."""


@dataclass(frozen=True)
class Trial:
    """One trial that has ended."""

    number: int
    """From 1, which has the present settings."""
    state: str
    """COMPLETE, PRUNED (it could not win any more) or FAILED (its training raised an error)."""
    params: dict[str, Any]
    ndcg: float | None
    """Mean over all judged users; None unless the trial is complete."""
    recall: float | None
    curve: dict[int, float]
    """Iteration → NDCG of a sample of the users."""
    seconds: float
    fault: str | None
    """Why it failed."""


@dataclass(frozen=True, eq=False)
class Search:
    """The trials of a study on one part; each depends on the seed and the trials before, not on interruptions."""

    study: optuna.Study
    space: Space
    part: Part
    watched: Part

    @property
    def trials(self) -> list[Trial]:
        """The trials that have ended, in order."""
        return [_trial(found) for found in self.study.get_trials(deepcopy=False) if found.state in _STATES]

    def run(self) -> Trial:
        """Runs the next trial. Raises TrainError and TrainMemoryError if the present settings themselves fail."""
        self.study.sampler = _sampler((self.space.present.seed + len(self.trials)) % 2**32)
        trial = self.study.ask()
        started = time.monotonic()
        try:
            params = self.space.suggest(trial)
            ndcg = self._try(trial, params)
            self._end(trial, started, TrialState.COMPLETE, ndcg)
        except optuna.TrialPruned:
            self._end(trial, started, TrialState.PRUNED)
        except (TrainError, TrainMemoryError) as error:  # an extreme setting may diverge, which is a result too
            if trial.number == 0:
                raise
            trial.set_user_attr("fault", str(error))
            self._end(trial, started, TrialState.FAIL)
        return self.trials[trial.number]

    def _try(self, trial: optuna.Trial, params: dict[str, Any]) -> float:
        tried = self.space.present.model_copy(update=params)

        def watch(iteration: int, _: float, users: Factors, sources: Factors) -> None:
            trial.report(float(self.watched.judge(users, sources).ndcg.mean()), iteration)
            if trial.number > 0 and iteration < params.get("iterations", 0) and trial.should_prune():
                raise optuna.TrialPruned

        embeddings = train(self.part.interactions, tried, self.part.ids, watch=lambda _: watch)
        scores = self.part.judge(embeddings.user_factors, embeddings.source_factors)
        trial.set_user_attr("recall", float(scores.recall.mean()))
        return float(scores.ndcg.mean())

    def _end(self, trial: optuna.Trial, started: float, state: TrialState, ndcg: float | None = None) -> None:
        trial.set_user_attr("seconds", time.monotonic() - started)
        self.study.tell(trial, ndcg, state)


def open_search(storage: "BaseStorage", name: str, space: Space, part: Part) -> Search:
    """Returns the search that `storage` holds under this name, or a new one that begins with `space.first`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    if not study.trials:
        for params in space.first:
            study.enqueue_trial(params)
    return Search(study, space, part, part.sample(_WATCHED, space.present.seed))


def best_of(trials: Sequence[Trial]) -> Trial:
    """Returns the complete trial with the highest NDCG, ties by number; the first trial is always complete."""
    return max((trial for trial in trials if trial.ndcg is not None), key=lambda trial: (trial.ndcg, -trial.number))


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Returns a sampler by tree-structured Parzen estimators (Bergstra et al. 2011) over all settings at once."""
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM, multivariate=True)


def _trial(found: FrozenTrial) -> Trial:
    attrs = found.user_attrs
    is_complete = found.state == TrialState.COMPLETE
    return Trial(
        number=found.number + 1,
        state=_STATES[found.state],
        params=dict(found.params),
        ndcg=found.value if is_complete else None,
        recall=attrs.get("recall"),
        curve=dict(found.intermediate_values),
        seconds=attrs.get("seconds", 0.0),
        fault=attrs.get("fault"),
    )
