"""Compares the best trial of a search with the present settings and with popularity, with intervals."""

import logging
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conf.base import Strict
from conf.settings import JudgeSettings
from conf.training import TrainSettings
from models.judge import Estimate
from models.judge.bootstrap import CONFIDENCE, poisson_weights
from models.metrics import PerUser
from models.training.train import train
from models.tuning.part import Part
from models.tuning.space import rounded

_LOG = logging.getLogger(__name__)


class SettingsComparison(Strict):
    """Mean NDCG@k over the same users, with 95 % bootstrap intervals."""

    users: int
    present: Estimate
    popularity: Estimate
    proposed: Estimate | None
    """None if no trial was better than the present settings."""
    lead: Estimate | None
    """Proposed − present, paired by user."""


class Evaluation(Strict):
    """The best trial of a search beside the present settings."""

    trial: int
    """Number of the trial, from 1."""
    changes: dict[str, int | float]
    """Changed settings of `train`; empty if the present settings are the best."""
    validation: SettingsComparison
    """On the days that the trial was chosen by: the best of many looks better here than it is."""
    holdout: SettingsComparison
    """On days that no trial was chosen by."""

    @property
    def is_better(self) -> bool:
        """Whether the change beats the present settings beyond noise, on the hold-out."""
        return self.holdout.lead is not None and self.holdout.lead.low > 0


def changes_of(params: dict[str, Any], present: TrainSettings) -> dict[str, Any]:
    """Returns the values that differ from the present settings, rounded as a person would write them."""
    return {name: value for name, value in rounded(params).items() if value != rounded(present.model_dump())[name]}


def compare(part: Part, present: TrainSettings, changes: dict[str, Any], judge: JudgeSettings) -> SettingsComparison:
    """Trains with the present and, if there are changes, with the changed settings, and judges both."""
    ours = _ndcg(part, present)
    theirs = _ndcg(part, present.model_copy(update=changes)) if changes else None
    return SettingsComparison(
        users=len(part.users),
        present=mean_of(ours, judge),
        popularity=mean_of(part.judge_popular().ndcg, judge),
        proposed=None if theirs is None else mean_of(theirs, judge),
        lead=None if theirs is None else mean_of(theirs - ours, judge),
    )


def mean_of(values: PerUser, judge: JudgeSettings) -> Estimate:
    """Returns the mean of values (users,) with its percentile interval by the Poisson bootstrap.

    For a difference of two arrays of the same users the interval is paired: users count equally often for both.
    """
    keys = np.random.default_rng(judge.seed).integers(2**63, size=len(values))
    drawn: NDArray[np.float64] = poisson_weights(keys, judge.replicates).astype(np.float64)
    counts = drawn.sum(axis=0)
    means = (values @ drawn)[counts > 0] / counts[counts > 0]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Estimate(len(values), float(values.mean()), float(low), float(high))


def _ndcg(part: Part, settings: TrainSettings) -> PerUser:
    started = time.monotonic()
    embeddings = train(part.interactions, settings, part.ids)
    ndcg = part.judge(embeddings.user_factors, embeddings.source_factors).ndcg
    _LOG.info("tune      judged: NDCG@%d %.4f · %.1f s", part.k, ndcg.mean(), time.monotonic() - started)
    return ndcg
