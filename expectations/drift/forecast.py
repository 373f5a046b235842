"""What a week should be by the weeks before it, and how improbable what was found is.

A week has one number per day, already on a scale where changes add up (logarithm, logit). Its level is the mean of its
days, each less the usual difference of its own weekday. The forecast of a level is a mean of four simple ones: the mean
of the last 4 and of the last 8 weeks, each flat and with a damped trend (Theil–Sen slope); those that were nearer in
the past weigh more. Their past errors, replayed week by week, are the scale of what is normal: season, trend and noise
are in them; how heavy their tails are, too. So a limit is one of prediction, not of a mean. Error rates:
`python -m benchmarks.drift --only healthy`.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import stats

from expectations.drift.statistics import Side

Floats = NDArray[np.float64]

KEPT_WEEKS = 60
"""Weeks of errors that make the scale."""
_LEVEL_WEEKS = (4, 8)
_SLOPE_WEEKS, _SLOPE_LEAST = 12, 6
_DAMPING = 0.8
"""Part of the slope that is expected to go on."""
_SHARPNESS = 4
"""A forecast with half the errors weighs 2 ** _SHARPNESS times as much."""
_WEEKDAY_WEEKS = 12
_CLIP = 2.5
"""Errors count up to this many of their own scale (Huber), so that one bad week does not widen the limits."""
_CLIPPED_SQUARE = 0.978
"""Mean of min(|x|, _CLIP)² of a standard normal x."""
_PRIOR_WEEKS = 6
"""Weeks of errors that the prior scale is worth; with few weeks the scale is mostly the prior."""
_EFFICIENCY = 0.8
"""Degrees of freedom per error: the scale is robust and the errors follow a forecast that was fitted to them."""
_TAILS = np.array([3.0, 4.0, 6.0, 10.0, 20.0, 60.0])
"""Degrees of freedom that errors may have: how heavy their tails are."""
_HUBER_OF_T = np.array([1.362, 1.251, 1.156, 1.091, 1.045, 1.010])
"""The robust scale of errors of each of them ÷ their scale in Student's t."""
_TAIL_PEAKS = stats.t.logpdf(0.0, _TAILS) + np.log(_HUBER_OF_T)
"""Logarithm of the density of an error of 0, in the robust scale."""
_TAIL_PRIOR = 16.0
"""Prior density of degrees of freedom ν is exp(−_TAIL_PRIOR / ν): tails are light until errors show otherwise."""
_DAY_SPREAD = 1.5
"""Prior scale of a day ÷ that of a week."""
_DAYS_PER_WEEK_FREE = 2
"""Independent days of a week, for the degrees of freedom of the days' scale: they share the week's noise."""
_DAY_PART = 0.2
"""Part of the false alarms that single days may use; the weeks' level has the rest."""
_DAY_GUARD = 2.0
"""A single day counts beyond so many times the largest deviation of any day before: days have heavy tails."""


@dataclass(frozen=True)
class Replay:
    """W weeks, oldest first, each beside what the weeks before it allow. NaN where nothing can be said."""

    level: Floats
    """(W,) level that was found."""
    expected: Floats
    """(W,) level that was expected."""
    scale: Floats
    """(W,) standard deviation of a healthy week's error."""
    free: Floats
    """(W,) degrees of freedom of the scale."""
    largest: Floats
    """(W,) largest error of the weeks before, to the side that counts; smaller ones are no alarm."""
    past: NDArray[np.int64]
    """(W,) number of weeks before with a level."""
    p: Floats
    """(W,) probability of such an error or a larger one in a healthy week; 1 where nothing can be said."""
    day: NDArray[np.int64]
    """(W,) column of the day that is farthest from what was expected of it."""
    day_value: Floats
    """(W,) number that was found on that day."""
    day_expected: Floats
    """(W,) number that was expected on that day."""
    day_width: Floats
    """(W,) largest deviation of that day that is no alarm, at the probability `replay` was called with."""
    by_day: NDArray[np.bool_]
    """(W,) whether the single day is what deviates: less probable, and most of what an unusual level is made of."""
    level_part: float
    """Part of the false alarms that the level may use."""
    sides: int
    """1 or 2: to how many sides errors count."""

    def width(self, probability: float) -> Floats:
        """Returns (W,) the largest error of the level that is no alarm at this probability of a false one."""
        limit = stats.t.isf(probability * self.level_part / self.sides, self.free) * self.scale
        return np.asarray(np.fmax(limit, self.largest))


def replay(
    days: Floats,
    *,
    prior: float,
    floor: float,
    noise: Floats | None = None,
    side: Side = "both",
    ahead: int = 1,
    probability: float = 1e-4,
) -> Replay:
    """Returns every week of `days` beside its past.

    days: (W, k) weeks, oldest first, of k weekdays (7, or 1 if there is one number a week); NaN is unknown. prior:
    usual standard deviation from week to week, which counts while weeks are few. floor: least scale. noise: (W,)
    standard deviation of a week's level by counting alone. side: which errors count. ahead: weeks between a forecast
    and the newest week that it knows; 1 is the week before. probability: of a false alarm, for `day_width` and
    `by_day` alone.
    """
    least = np.hypot(floor, np.zeros(len(days)) if noise is None else np.nan_to_num(noise))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # medians and means of nothing are NaN, as wanted
        return _replay(days, prior, least, side, ahead, probability)


def _replay(days: Floats, prior: float, least: Floats, side: Side, ahead: int, probability: float) -> Replay:
    weekday = np.nan_to_num(_median(_before(days - _mean(days, 1)[:, None], _WEEKDAY_WEEKS, ahead)))
    rest = days - weekday
    level = _mean(rest, 1)
    expected = _forecast(level, ahead)
    sides = 2 if side == "both" else 1
    day_part = _DAY_PART if days.shape[1] > 1 else 0.0  # a week of one number has no single days

    errors = level - expected
    past = _before(errors, KEPT_WEEKS, ahead)
    scale, free = _scale(past, prior, np.isfinite(past).sum(axis=1), least)
    largest = np.nan_to_num(np.nanmax(_harmful(past, side), axis=1))
    found = _harmful(errors, side)
    of_level = np.where(found > largest, sides * stats.t.sf(found / scale, free) / (1 - day_part), 1.0)

    off = rest - expected[:, None]
    deviation = np.nan_to_num(_harmful(off, side), nan=-1.0)
    day = deviation.argmax(axis=1)
    past_days = _before(off, KEPT_WEEKS, ahead).reshape(len(days), -1)
    known = np.isfinite(past_days).sum(axis=1) * _DAYS_PER_WEEK_FREE / days.shape[1]
    day_scale, day_free = _scale(past_days, prior * _DAY_SPREAD, known, least)
    guard = _DAY_GUARD * np.nan_to_num(np.nanmax(_harmful(past_days, side), axis=1))
    count = np.maximum(np.isfinite(off).sum(axis=1), 1)
    worst = deviation.max(axis=1)
    of_day = -np.expm1(count * np.log1p(-sides * stats.t.sf(worst / day_scale, day_free)))  # of the largest of them
    of_day = np.where((worst > guard) & (day_part > 0), of_day / max(day_part, 1e-9), 1.0)
    limit = stats.t.isf(probability * day_part / sides / count, day_free) * day_scale
    at = np.arange(len(days)), day
    return Replay(
        level=level,
        expected=expected,
        scale=scale,
        free=free,
        largest=largest,
        past=np.isfinite(_before(level, KEPT_WEEKS, ahead)).sum(axis=1),
        p=np.where(np.isfinite(errors), np.minimum(1.0, np.minimum(of_level, of_day)), 1.0),
        day=day,
        day_value=days[at],
        day_expected=expected + weekday[at],
        day_width=np.fmax(limit, guard),
        by_day=(of_day < of_level) & ((of_level >= probability) | (worst > np.nansum(_harmful(off, side), axis=1) / 2)),
        level_part=1 - day_part,
        sides=sides,
    )


def _harmful(errors: Floats, side: Side) -> Floats:
    """Returns the size of errors to the side that counts, 0 for others."""
    if side == "both":
        return np.abs(errors)
    return np.maximum(errors if side == "high" else -errors, 0.0)


def _forecast(level: Floats, ahead: int) -> Floats:
    """Returns (W,) the level expected of each week."""
    candidates = _candidates(level, ahead)
    errors = np.abs(level - candidates)
    losses = np.stack([_clipped_mean(_before(one, KEPT_WEEKS, ahead)) for one in errors])
    usable = np.isfinite(candidates)
    # Without a past all weigh the same; a loss of 0 is a series that never changes.
    weights = np.where(np.isfinite(losses), np.maximum(losses, 1e-9), 1.0) ** -_SHARPNESS * usable
    total = weights.sum(axis=0)
    return np.where(total > 0, np.where(usable, weights * candidates, 0).sum(axis=0) / total, np.nan)


def _candidates(level: Floats, ahead: int) -> Floats:
    """Returns (4, W) simple forecasts of each week."""
    window = _before(level, _SLOPE_WEEKS, ahead)
    first, second = np.triu_indices(_SLOPE_WEEKS, 1)
    slope = _median((window[:, second] - window[:, first]) / (second - first))
    slope = np.where(np.isfinite(window).sum(axis=1) >= _SLOPE_LEAST, slope, 0.0)
    found = []
    for weeks in _LEVEL_WEEKS:
        window = _before(level, weeks, ahead)
        age = np.where(np.isfinite(window), np.arange(weeks, 0, -1) + (ahead - 1), np.nan)
        flat = _robust_mean(window)
        found += [flat, flat + _DAMPING * slope * _mean(age, 1)]
    return np.stack(found)


def _robust_mean(values: Floats) -> Floats:
    """Returns the mean of each row, whose outliers count as far as the clip."""
    centre = _median(values)[:, None]
    reach = _CLIP * 1.4826 * _median(np.abs(values - centre))[:, None]
    return _mean(np.clip(values, centre - reach, centre + reach), 1)


def _clipped_mean(errors: Floats) -> Floats:
    return _mean(np.minimum(errors, 4 * _median(errors)[:, None]), 1)


def _scale(errors: Floats, prior: float, count: Floats | NDArray[np.int64], least: Floats) -> tuple[Floats, Floats]:
    """Returns (W,) scale and degrees of freedom of Student's t for the next error of each row of errors around 0.

    The scale is robust and shrunk to the prior; the degrees of freedom are those of the scale, or as few as the tails
    of the errors show.
    """
    size = np.abs(errors)
    scale = 1.4826 * _median(size)
    for _ in range(4):
        scale = np.sqrt(_mean(np.minimum(size, _CLIP * scale[:, None]) ** 2, 1) / _CLIPPED_SQUARE)
    tail = _tail(size / scale[:, None], count)
    free = _EFFICIENCY * np.maximum(count - 1, 0)
    square = (_PRIOR_WEEKS * prior**2 + free * np.nan_to_num(scale) ** 2) / (_PRIOR_WEEKS + free)
    scale, free = np.maximum(np.sqrt(square), least), _PRIOR_WEEKS + free
    return scale / _HUBER_OF_T[tail], np.minimum(free, _TAILS[tail])


def _tail(size: Floats, count: Floats | NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns (W,) the place in `_TAILS` that explains each row best.

    size: (W, n) errors in their robust scale; count: (W,) as how many independent ones they count.
    """
    known, square = np.isfinite(size).sum(axis=1), size**2
    weight = count / np.maximum(known, 1)
    likelihood = [
        weight * (known * peak - (free + 1) / 2 * np.nansum(np.log1p(square * (huber**2 / free)), axis=1))
        - _TAIL_PRIOR / free
        for free, huber, peak in zip(_TAILS, _HUBER_OF_T, _TAIL_PEAKS, strict=True)
    ]
    return np.where(np.isfinite(likelihood[-1]), np.argmax(likelihood, axis=0), len(_TAILS) - 1)


def _median(values: Floats) -> Floats:
    """Returns the median along axis 1 of what is known; NaN of nothing. np.nanmedian takes three times as long."""
    ordered, count = np.sort(values, axis=1), np.maximum(np.isfinite(values).sum(axis=1, keepdims=True), 1)
    low, high = (np.take_along_axis(ordered, at, 1) for at in ((count - 1) // 2, count // 2))  # NaN are last
    return np.asarray(((low + high) / 2).squeeze(1))


def _mean(values: Floats, axis: int) -> Floats:
    return np.asarray(np.nanmean(values, axis=axis))


def _before(values: Floats, weeks: int, ahead: int) -> Floats:
    """Returns (W, weeks, …) the weeks before each, at least `ahead` back, oldest first; NaN before the first."""
    gap = np.full((weeks + ahead - 1, *values.shape[1:]), np.nan)
    windows = sliding_window_view(np.concatenate([gap, values]), weeks, axis=0)[: len(values)]
    return np.moveaxis(windows, -1, 1)
