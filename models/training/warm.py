"""Warm start: the alternations continue from an earlier run's factors, which known users and sources keep."""

from dataclasses import dataclass

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from conf.training import AlsSettings
from models.arrays.factors import dimensions_of, gather_factors
from models.arrays.ids import IdMap, id_type
from models.errors import NoWarmStart, TrainError
from models.training.als import Factors, HalfStep
from models.training.confidences import activity

_LEAST_KNOWN = 0.5
"""Share of the interactions whose sources the earlier run must know; with less its factors are of no use."""

_USERS = 2**16
"""New users solved at once."""


@dataclass(frozen=True)
class Turnover:
    """Numbers of users and sources that the earlier run knew too, that are new, and that are gone."""

    kept_users: int
    new_users: int
    gone_users: int
    kept_sources: int
    new_sources: int
    gone_sources: int


@dataclass(frozen=True, eq=False)
class InitialFactors:
    """Factors float32 (users, d) and (sources, d) to start from, in the rows of a new matrix; None: a cold start."""

    factors: tuple[Factors, Factors] | None
    turnover: Turnover
    cold_reason: str | None

    @classmethod
    def cold(cls, users: IdMap, sources: IdMap, reason: str | None) -> "InitialFactors":
        """Returns a cold start; reason: why earlier factors were not used, if there were any."""
        return cls(None, Turnover(0, len(users), 0, 0, len(sources), 0), reason)


def initial_factors(
    start: "WarmStart | None",
    users: IdMap,
    sources: IdMap,
    confidences: csr_matrix,
    regularization: float,
    settings: AlsSettings,
) -> InitialFactors:
    """Returns a warm start if `start` fits (see WarmStart.align), else a cold one."""
    if start is None:
        return InitialFactors.cold(users, sources, None)
    try:
        return start.align(users, sources, confidences, regularization, settings)
    except (NoWarmStart, TrainError) as reason:
        return InitialFactors.cold(users, sources, str(reason))


@dataclass(frozen=True, eq=False)
class WarmStart:
    """The tables contract.user_factors and contract.source_factors of an earlier run, read when they are needed."""

    user_factors: ds.Dataset
    source_factors: ds.Dataset

    def align(
        self, users: IdMap, sources: IdMap, confidences: csr_matrix, regularization: float, settings: AlsSettings
    ) -> InitialFactors:
        """Returns the earlier factors; new ones get a half step: sources by known users, then users by all sources.

        The absolute λ is `regularization`. New users with only new sources of new users stay zero until an alternation
        or the next cold start reaches them. Besides the result it takes 16 bytes per interaction of new sources, less
        than the trainer will take. Raises NoWarmStart.
        """
        self._check(users, settings.factors)
        of_sources, old_sources, before = gather_factors(self.source_factors, "source_id", sources, settings.factors)
        _check_known(confidences, old_sources)
        of_users, old_users, users_before = gather_factors(self.user_factors, "user_id", users, settings.factors)
        new = np.flatnonzero(~old_sources)
        if len(new):
            by_users = HalfStep(of_users, regularization, settings.threads)
            of_sources[new] = by_users.solve(confidences[:, new].T.tocsr())
        new = np.flatnonzero(~old_users)
        by_sources = HalfStep(of_sources, regularization, settings.threads)
        for first in range(0, len(new), _USERS):
            some = new[first : first + _USERS]
            of_users[some] = by_sources.solve(confidences[some])
        turnover = Turnover(*_turnover(old_users, users_before), *_turnover(old_sources, before))
        return InitialFactors((of_users, of_sources), turnover, None)

    def _check(self, users: IdMap, factors: int) -> None:
        for table, column in ((self.user_factors, "user_id"), (self.source_factors, "source_id")):
            kind, former = table.schema.field(column).type, dimensions_of(table)
            if kind != id_type(users.kind):
                raise NoWarmStart(f"the earlier run's {column} is {kind}, now it is {id_type(users.kind)}")
            if former != factors:
                raise NoWarmStart(f"the earlier run's factors by {column} have {former} dimensions, now {factors}")


def _check_known(confidences: csr_matrix, known: NDArray[np.bool_]) -> None:
    _, of_source = activity(confidences)
    share = float(of_source[known].sum() / confidences.nnz)
    if share < _LEAST_KNOWN:
        raise NoWarmStart(
            f"the earlier run knows the sources of {share:.0%} of the interactions, {_LEAST_KNOWN:.0%} are needed"
        )


def _turnover(kept: NDArray[np.bool_], before: int) -> tuple[int, int, int]:
    still = int(kept.sum())
    return still, len(kept) - still, before - still
