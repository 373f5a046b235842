"""Sums of an experiment made by hand: users with habits, a planted lift of the treated, no Spark."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from jobs.experiments.weeks import CountsOfSlice, ShareThen, SumsRecord, WeekOfSums, WeekStore
from models.experiment.moments import Moments, Slice, slices_at, variables_of

STEPS = (100, 500, 2_500, 5_000, 9_500)
FIRST = dt.date(2026, 11, 16)


def measured(
    store: WeekStore,
    shares_bp: Sequence[int | None],
    lifts: Mapping[str, float],
    *,
    users: int = 40_000,
    lost: float = 0.0,
    before: float = 0.0,
    constant: Sequence[str] = (),
    seed: int = 1,
    **changes: Any,
) -> SumsRecord:
    """Writes sums of these weeks; returns their record.

    lifts: metric → planted lift; lost: part of the treated who are not seen; before: lift that week 0 has already.
    """
    rng, weeks = default_rng(seed), len(shares_bp)
    place, habit = rng.integers(0, 10_000, users), rng.gamma(2.0, 0.5, users)
    slices = slices_at([*STEPS, *(share for share in shares_bp if share)])
    rows = []
    for metric, lift in sorted(lifts.items()):
        figures = _figures(rng, place, habit, shares_bp, lift, before, is_constant=metric in constant)
        ratio = "/" in metric
        for part in slices:
            inside = (place >= part.low_bp) & (place < part.high_bp)
            columns = [_column(name, figures, habit) for name in variables_of(weeks, ratio=ratio)]
            moments = Moments.of(variables_of(weeks, ratio=ratio), np.column_stack(columns)[inside])
            rows.append(
                {"metric": metric, "low_bp": part.low_bp, "high_bp": part.high_bp, "moments": moments.to_bytes()}
            )
    is_lost = (place < (shares_bp[0] or 0)) & (rng.random(users) < lost)
    record = SumsRecord(
        product="told",
        experiment="bigger",
        salt="bigger-1",
        inputs="",
        weeks=tuple(week_of(number, share) for number, share in enumerate([None, *shares_bp])),
        slices=tuple(_counts(part, place, ~is_lost, weeks) for part in slices),
        metrics=tuple(sorted(lifts)),
        categories_left_out=0,
    )
    return store.write_sums(record.model_copy(update=changes), rows)


def week_of(number: int, share_bp: int | None, **changes: Any) -> WeekOfSums:
    """Returns a week of which everything is known."""
    first = FIRST + dt.timedelta(weeks=number - 1)
    since = dt.datetime.combine(first, dt.time(), dt.UTC)
    then = ShareThen(since=since, until=None, treatment="a", control="b", share_bp=share_bp or 0, ours=True)
    week = WeekOfSums(
        number=number,
        first=first,
        last=first + dt.timedelta(days=6),
        through=first + dt.timedelta(days=6),
        mature=True,
        new_is_known=True,
        basis="answered",
        audience="audience",
        served=(then,),
        share_bp=share_bp,
    )
    return week.model_copy(update=changes)


def _figures(
    rng: np.random.Generator,
    place: NDArray[np.int64],
    habit: NDArray[np.float64],
    shares_bp: Sequence[int | None],
    lift: float,
    before: float,
    *,
    is_constant: bool,
) -> list[NDArray[np.float64]]:
    """Returns what each user did in each week from 0 on."""
    found = []
    for share in [None, *shares_bp]:
        cut, change = ((shares_bp[0] or 0), before) if share is None and not found else ((share or 0), lift)
        mean = habit * np.where(place < cut, 1 + change, 1.0)
        found.append(np.ones(len(place)) if is_constant else rng.poisson(mean).astype(np.float64))
    return found


def _column(name: str, figures: Sequence[NDArray[np.float64]], habit: NDArray[np.float64]) -> NDArray[np.float64]:
    if name[0] == "x":
        return figures[int(name[1:])]
    return np.ones(len(habit)) if name[0] == "a" else np.ceil(habit + 1)


def _counts(part: Slice, place: NDArray[np.int64], seen: NDArray[np.bool_], weeks: int) -> CountsOfSlice:
    inside = (place >= part.low_bp) & (place < part.high_bp)
    later = [0] * (weeks - 1)
    return CountsOfSlice(
        low_bp=part.low_bp,
        high_bp=part.high_bp,
        first_seen=(0, int((inside & seen).sum()), *later),
        joined=(0, int(inside.sum()), *later),
        robots=(0,) * (weeks + 1),
    )
