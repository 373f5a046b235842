"""Searches for the training settings of a data set, on its tuning part only."""

from collections.abc import Callable
from typing import Any

import optuna

from benchmarks.quality.arms import our_lists, timed
from benchmarks.quality.part import SplitPart
from conf.training import TrainSettings
from models.errors import TrainError
from models.tuning import Space

Log = Callable[[str], None]
"""Called with a line about each trial."""


def tune(part: SplitPart, settings: TrainSettings, k: int, trials: int, log: Log) -> TrainSettings:
    """Returns the settings with the best Recall@k + NDCG@k of `trials` trials; the first trial tries `settings`.

    Searches the settings that `jobs/tune_embeddings.py` searches, except the dimensions. Seeded by settings.seed;
    Optuna's TPE (Bergstra et al. 2011).
    """
    space = Space(settings)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=max(4, trials // 3), multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(space.params_of(settings))

    def judge(trial: Any) -> float:
        tried = settings.model_copy(update=space.suggest(trial))
        try:
            arm = timed(lambda of: our_lists(of, tried), part).judge(part, k)
        except TrainError as error:  # an extreme setting may diverge, which is a result too
            log(f"{trial.number:>3}  {error}")
            raise optuna.TrialPruned from error
        values = " ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
        log(f"{trial.number:>3}  {arm.recall:.4f} {arm.ndcg:.4f}  {arm.seconds:>5.1f} s  {values}")
        return arm.recall + arm.ndcg

    study.optimize(judge, n_trials=trials)
    return settings.model_copy(update=study.best_params)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
