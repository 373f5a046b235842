"""One test of each statistic of a run: the new days, or the run's own number, against what the past allows.

The budget of false alarms a year is shared by all statistics that can stop a run, and another of the same size by those
that only warn. Days that raised an alarm, were excluded or are known to be unusual are no part of the past.
"""

import datetime as dt
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expectations.drift.findings import Accepted, Alarm, Excluded, Finding, Point
from expectations.drift.forecast import KEPT_WEEKS, Replay, replay
from expectations.drift.history import Floats, History, Key, Series
from expectations.drift.statistics import Mode, Statistic, statistic
from expectations.drift.weeks import WEEK

LEARNING_WEEKS = 8
"""Weeks, or runs, that a statistic needs before its first test."""
_SHOWN = 30
"""Weeks or runs before that a report shows."""
_LEAST_DAYS = 4
"""A week with fewer known days has no level."""


@dataclass(frozen=True)
class Judged:
    """What is new in a run, and what is known besides the numbers."""

    as_of: dt.date
    new_days: Mapping[str, Collection[dt.date]]
    """Event dataset, or `served` → days that the run that serves did not read; at least the latest week."""
    read_days: Mapping[str, Collection[dt.date]]
    """Likewise → all days that the run reads."""
    false_alarms_per_year: float
    runs_per_year: float
    modes: Mapping[str, Mode] = field(default_factory=dict)
    """Full name, or a statistic's name for all subjects → mode, where it is not the default."""
    known_days: Collection[dt.date] = ()
    """Days that differ and may: holidays, releases."""
    accepted: Sequence[Accepted] = ()
    excluded: Sequence[Excluded] = ()
    alarms: Sequence[Alarm] = ()
    """Of earlier runs, the newest of each kind."""

    def mode_of(self, key: Key, one: Statistic) -> Mode:
        """Returns what an alarm of the statistic does."""
        return self.modes.get(f"{key[1]}.{key[2]}", self.modes.get(key[2], one.mode))


def judge(history: History, case: Judged, measured: Collection[Key] | None = None) -> tuple[Finding, ...]:
    """Returns a finding for each statistic that has numbers of this run, in the order of their names.

    `history` holds the run's own numbers, too; `measured`: what it measured (default: everything), for numbers of an
    earlier run of the same day are not its own.
    """
    keys = sorted(history.keys if measured is None else {*measured})
    asked = [(key, one) for key in keys if (one := statistic(key[0], key[2])) and case.mode_of(key, one) != "off"]
    asked = [(key, one) for key, one in asked if _is_new(history.series(key), key, one, case)]
    budget = {
        mode: probability_of(
            case.false_alarms_per_year, case.runs_per_year, sum(case.mode_of(*each) == mode for each in asked)
        )
        for mode in ("block", "warn")
    }
    return tuple(_finding(key, one, history.series(key), budget[case.mode_of(key, one)], case) for key, one in asked)


def learned(history: History, case: Judged) -> frozenset[str]:
    """Returns the full names of the statistics that can stop a run and have enough past to be judged in this one."""
    names = []
    for key in history.keys:
        one = statistic(key[0], key[2])
        if one is None or case.mode_of(key, one) != "block":
            continue
        series = history.series(key)
        past = series.days < np.datetime64(case.as_of - dt.timedelta(days=WEEK if one.grain != "run" else 0))
        if one.grain == "run":
            made_of = np.array(series.made_of)[past]
            count = int((made_of == made_of[-1]).sum()) if len(made_of) else 0
        else:
            weeks = (np.datetime64(case.as_of) - series.days[past]).astype(int) // WEEK
            count = int((np.bincount(weeks[weeks < KEPT_WEEKS]) >= (_LEAST_DAYS if one.grain == "day" else 1)).sum())
        if count >= LEARNING_WEEKS:
            names.append(f"{key[1]}.{key[2]}")
    return frozenset(names)


def probability_of(false_alarms_per_year: float, runs_per_year: float, statistics: int) -> float:
    """Returns the probability of a false alarm that one of so many statistics may have in one run."""
    return false_alarms_per_year / runs_per_year / max(1, statistics)


def _is_new(series: Series, key: Key, one: Statistic, case: Judged) -> bool:
    if one.grain == "run":
        return np.datetime64(case.as_of) in series.days
    return bool(np.isin(series.days, _as_array(case.new_days.get(key[1], ()))).any())


def _finding(key: Key, one: Statistic, series: Series, probability: float, case: Judged) -> Finding:
    kind, subject, name = key
    base = Finding(kind=kind, subject=subject, name=name, mode=case.mode_of(key, one), state="ok")
    scaled = _Scaled.of(one, series, f"{subject}.{name}", case)
    weeks = _runs(scaled, case) if one.grain == "run" else _weeks(scaled, one, case.new_days[subject])
    if weeks is None:
        finding = base.model_copy(update={"state": "not judged", "why": "only days that are known to differ"})
    else:
        finding = _worst(base, one, weeks, probability)
    carried = _carried(base, one, series, case)
    if carried is None:
        return finding
    return carried.model_copy(update={"past": finding.past, "mode": finding.mode})


@dataclass(frozen=True)
class _Scaled:
    """A series on its scale; NaN where a number is no part of the past and is not judged."""

    days: NDArray[np.datetime64]
    values: Floats
    noise: Floats
    made_of: tuple[str, ...]
    healthy: NDArray[np.bool_]
    """Whether a number may be part of the past."""

    @classmethod
    def of(cls, one: Statistic, series: Series, full_name: str, case: Judged) -> "_Scaled":
        subject = full_name.partition(".")[0]
        values = np.array([one.to_scale(v, n) for v, n in zip(series.values, series.n, strict=True)])
        for accepted in case.accepted:
            if accepted.name == full_name:
                values = values + accepted.shift * (series.days < np.datetime64(min(accepted.days)))
        left_out = [day.day for day in case.excluded if day.dataset == subject]
        if one.grain != "run":
            left_out += case.known_days
        values = np.where(np.isin(series.days, _as_array(left_out)), np.nan, values)
        accepted_days = {(a.name, day) for a in case.accepted for day in a.days}
        bad = [
            day
            for alarm in case.alarms
            if f"{alarm.subject}.{alarm.name}" == full_name
            for day in alarm.days
            if (full_name, day) not in accepted_days
        ]
        noise = np.array([one.noise(v, n) for v, n in zip(series.values, series.n, strict=True)])
        return cls(series.days, values, noise, series.made_of, ~np.isin(series.days, _as_array(bad)))


@dataclass(frozen=True)
class _Weeks:
    """Weeks or runs of one statistic, oldest first; the last `new` of them are judged."""

    values: Floats
    """(W, k)"""
    noise: Floats
    """(W,)"""
    days: NDArray[np.datetime64]
    """(W, k)"""
    made_of: Sequence[Sequence[str]]
    """W times k."""
    new: int


def _weeks(scaled: _Scaled, one: Statistic, new_days: Collection[dt.date]) -> _Weeks | None:
    """Returns whole weeks back from the newest new day; None if nothing of the new ones is known."""
    end, first = np.datetime64(max(new_days)), np.datetime64(min(new_days))
    spare = int((end - first).astype(int)) + 1 - _LEAST_DAYS  # a rest of fewer days belongs to the newest week
    new = max(1, math.ceil((spare + 1) / WEEK))
    count = KEPT_WEEKS + LEARNING_WEEKS + new
    days = end - np.arange(count * WEEK)[::-1].reshape(count, WEEK).astype("timedelta64[D]")
    at = np.minimum(np.searchsorted(scaled.days, days), len(scaled.days) - 1)
    found = scaled.days[at] == days
    is_new = np.arange(count) >= count - new
    usable = found & np.isfinite(scaled.values[at]) & (scaled.healthy[at] | is_new[:, None])
    if one.grain == "week":  # its newest number stands for the week
        newest = (WEEK - 1 - usable[:, ::-1].argmax(axis=1))[:, None]
        at, days, usable = (np.take_along_axis(grid, newest, 1) for grid in (at, days, usable))
    known, columns = usable.sum(axis=1), days.shape[1]
    usable &= known[:, None] >= min(_LEAST_DAYS, columns)
    if not usable[is_new].any():
        return None
    counting = np.where(usable, scaled.noise[at] ** 2, 0).sum(axis=1) / np.maximum(known, 1) ** 2
    thin = one.prior**2 * (1 / np.maximum(known, 1) - 1 / columns)  # the mean of fewer days varies more
    made_of = [
        [scaled.made_of[i] if ok else "" for i, ok in zip(*row, strict=True)] for row in zip(at, usable, strict=True)
    ]
    return _Weeks(np.where(usable, scaled.values[at], np.nan), np.sqrt(counting + thin), days, made_of, new)


def _runs(scaled: _Scaled, case: Judged) -> _Weeks | None:
    """Returns the run's number after those of earlier runs that were made alike."""
    today = int(np.searchsorted(scaled.days, np.datetime64(case.as_of)))
    if not np.isfinite(scaled.values[today]):
        return None
    alike = [i for i in range(today) if scaled.made_of[i] == scaled.made_of[today] and scaled.healthy[i]]
    places = [*alike[-(KEPT_WEEKS + LEARNING_WEEKS) :], today]
    made_of = [[scaled.made_of[i]] for i in places]
    return _Weeks(scaled.values[places][:, None], scaled.noise[places], scaled.days[places][:, None], made_of, 1)


def _worst(base: Finding, one: Statistic, weeks: _Weeks, probability: float) -> Finding:
    """Returns the finding of the new week that is least probable by the weeks before all new ones."""
    found = []
    for ahead in range(1, weeks.new + 1):
        at = len(weeks.values) - weeks.new + ahead - 1
        if not np.isfinite(weeks.values[at]).any():  # a week of which nothing is known
            continue
        again = replay(
            weeks.values,
            prior=one.prior,
            floor=one.floor,
            noise=weeks.noise,
            side=one.side,
            ahead=ahead,
            probability=probability / weeks.new,
        )
        found.append((min(1.0, float(again.p[at]) * weeks.new), at, again))
    p, at, again = min(found, key=lambda week: week[0])
    past = int(again.past[at])
    if past < LEARNING_WEEKS:
        unit = "runs" if one.grain == "run" else "weeks"
        why = f"{past} of {LEARNING_WEEKS} {unit}"
        return base.model_copy(update={"state": "learning", "why": why, **_place(one, weeks, again, at, probability)})
    state = "alarm" if p < probability else "ok"
    return base.model_copy(update={"state": state, "p": p, **_place(one, weeks, again, at, probability)})


def _place(one: Statistic, weeks: _Weeks, again: Replay, at: int, probability: float) -> dict[str, object]:
    """Returns the fields of a finding that say where, what was found and what was allowed."""
    width = again.width(probability / weeks.new)
    if again.by_day[at]:
        columns = [int(again.day[at])]
        value, expected, reach = again.day_value[at], again.day_expected[at], again.day_width[at]
    else:
        columns = [int(i) for i in np.flatnonzero(np.isfinite(weeks.values[at]))]
        value, expected, reach = again.level[at], again.expected[at], width[at]
    low, high = _limits(one, expected, reach)
    shown = range(max(0, len(weeks.values) - _SHOWN), len(weeks.values))
    return {
        "value": _number(one.of_scale(float(value))),
        "expected": _number(one.of_scale(float(expected))),
        "low": low,
        "high": high,
        "shift": _number(float(again.level[at] - again.expected[at])) or 0.0,
        "days": tuple(weeks.days[at, i].item() for i in columns),
        "made_of": tuple(weeks.made_of[at][i] for i in columns),
        "past": tuple(_point(one, weeks, again, i, width) for i in shown if np.isfinite(again.level[i])),
    }


def _point(one: Statistic, weeks: _Weeks, again: Replay, at: int, width: Floats) -> Point:
    low, high = _limits(one, again.expected[at], width[at] if again.past[at] >= LEARNING_WEEKS else math.nan)
    day = weeks.days[at, -1].item()
    return Point(day=day, found=_number(one.of_scale(float(again.level[at]))), low=low, high=high)


def _limits(one: Statistic, expected: float, reach: float) -> tuple[float | None, float | None]:
    low = None if one.side == "high" else _number(one.of_scale(float(expected - reach)))
    high = None if one.side == "low" else _number(one.of_scale(float(expected + reach)))
    return low, high


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _carried(base: Finding, one: Statistic, series: Series, case: Judged) -> Finding | None:
    """Returns an alarm of an earlier run whose days are read again, unchanged, and neither accepted nor excluded."""
    if one.grain == "run":
        return None  # each run has its own number
    made_of = dict(zip(series.days.tolist(), series.made_of, strict=True))
    read = {*case.read_days.get(base.subject, ())} - {day.day for day in case.excluded if day.dataset == base.subject}
    accepted = {day for one in case.accepted if one.name == base.full_name for day in one.days}
    for alarm in case.alarms:
        if (alarm.kind, alarm.subject, alarm.name) != (base.kind, base.subject, base.name):
            continue
        same = all(made_of.get(day) == by for day, by in zip(alarm.days, alarm.made_of, strict=True))
        if same and read.intersection(alarm.days) and not accepted.issuperset(alarm.days):
            fields = alarm.model_dump(include={"days", "made_of", "value", "expected", "low", "high", "shift", "p"})
            again = {"state": "alarm", "since": alarm.run, "runs": alarm.runs + 1, **fields}
            return base.model_copy(update=again)
    return None


def _as_array(days: Collection[dt.date]) -> NDArray[np.datetime64]:
    return np.array(sorted(days), "datetime64[D]")
