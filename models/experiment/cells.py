"""Sums over users of one slice as exact integers: added up in any order, then read as moments."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.experiment.exact import LARGEST, Exact, Integers, exact_products
from models.experiment.metric import BASE, RATIOS, Metric
from models.experiment.moments import Moments, variables_of

AUDIENCE, ROBOT, SEEN = "audience", "robot", "seen"
"""Metrics that are 1 or nothing: in the audience before the week, a robot on a day of it, answered in it."""
FIRST_SEEN, JOINED, ROBOTS = "first seen", "joined", "robots"
"""Cells that count users by week: answered or in the audience for the first time, and left out since that week."""
_BY_WEEK = {FIRST_SEEN, JOINED, ROBOTS}

Cells = Mapping[str, Exact]
"""Metric, ratio, or what counts users by week → matrix of sums."""


@dataclass(frozen=True)
class UserRows:
    """Rows of whole users of one slice: the same place in each array is a row; users are numbered from 0."""

    users: int
    user: NDArray[np.intp]
    week: NDArray[np.intp]
    metric: NDArray[np.intp]
    """Place in `names`."""
    x: NDArray[np.float64]
    names: Sequence[str]
    weeks: int
    """The last week; the first one is 0."""

    def grid(self, name: str) -> NDArray[np.float64]:
        """Returns a metric as a matrix of users × weeks from 0."""
        values = np.zeros((self.users, self.weeks + 1))
        if name in self.names:
            chosen = self.metric == self.names.index(name)
            values[self.user[chosen], self.week[chosen]] = self.x[chosen]
        return values


def cells_of(rows: UserRows) -> Iterator[tuple[str, Exact]]:
    """Yields the sums of users, except for those of metrics that are 0.

    Those count who were in the audience of any week from 1 on, with what they did in the weeks of whose audience they
    were; all of them are in that of week 0. Users who were robots in any week are in no sum.
    """
    audience = (rows.grid(AUDIENCE) > 0).astype(np.int64)
    concerned = np.asarray(audience[:, 1:].any(axis=1))
    yield JOINED, _by_first(audience[:, 1:] > 0, offset=1)
    audience[:, 0] = concerned
    robots: NDArray[np.bool_] = rows.grid(ROBOT) > 0
    yield FIRST_SEEN, _by_first(rows.grid(SEEN)[:, 1:] > 0, offset=1)
    yield ROBOTS, _by_first(robots[concerned])
    kept = concerned & ~np.asarray(robots.any(axis=1))
    with_one = _with_one(audience[kept])
    yield AUDIENCE, exact_products(with_one, with_one)
    found = dict(_metrics(rows, kept, audience))
    for name, (users, values) in found.items():
        yield name, exact_products(np.hstack([_with_one(audience[users]), values]), values)
    for name, (above, below) in RATIOS.items():
        if above in found and below in found:
            both, here, there = np.intersect1d(found[above][0], found[below][0], return_indices=True)
            if len(both):
                yield name, exact_products(found[above][1][here], found[below][1][there])


def _metrics(
    rows: UserRows, kept: NDArray[np.bool_], audience: Integers
) -> Iterator[tuple[str, tuple[NDArray[np.intp], Integers]]]:
    """Yields each metric with those users who have any of it, and its matrix of these users × weeks."""
    order = np.argsort(rows.metric, kind="stable")
    ends = np.searchsorted(rows.metric[order], np.arange(len(rows.names) + 1))
    for place, name in enumerate(rows.names):
        chosen = order[ends[place] : ends[place + 1]]
        chosen = chosen[kept[rows.user[chosen]]]
        if name in (AUDIENCE, ROBOT) or not len(chosen):
            continue
        users, at = np.unique(rows.user[chosen], return_inverse=True)
        values = np.zeros((len(users), rows.weeks + 1), np.int64)
        limit = float(LARGEST // 2)  # float64 holds it
        values[at, rows.week[chosen]] = np.clip(np.rint(rows.x[chosen] * Metric.parse(name).unit), -limit, limit)
        yield name, (users, values * audience[users])


def _with_one(matrix: Integers) -> Integers:
    return np.hstack([np.ones((len(matrix), 1), np.int64), matrix])


def _by_first(flags: NDArray[np.bool_], offset: int = 0) -> Exact:
    """Returns how many users have their first flag in each column, with `offset` columns of 0 before them."""
    weeks = flags.shape[1] + offset
    first = flags.argmax(axis=1)[flags.any(axis=1)] + offset
    return np.bincount(first, minlength=weeks).astype(object).reshape(1, weeks)


@dataclass
class SliceCells:
    """The sums of one slice, of which parts may be added in any order."""

    weeks: int
    cells: dict[str, Exact] = field(default_factory=dict)

    def matrix(self, name: str) -> Exact:
        """Returns the sums of that name, to be changed in place; zeros if there were none."""
        return self.cells.setdefault(name, np.zeros(shape_of(name, self.weeks), dtype=object))

    def by_week(self, name: str) -> list[int]:
        """Returns FIRST_SEEN, JOINED or ROBOTS by week from 0 on."""
        return [int(count) for count in self._sums(name).ravel()]

    def moments(self, text: str) -> Moments:
        """Returns the moments of a metric or a ratio."""
        size = self.weeks + 1
        parts = Metric.parse(text).parts
        counts = self._sums(AUDIENCE)
        names = (text,) if parts is None else parts
        values = {("a", "a"): _floats(counts[1:, 1:], 1)}
        totals = {"a": _floats(counts[0, 1:], 1)}
        for letter, name in zip("xy", names, strict=False):
            unit, sums = Metric.parse(name).unit, self._sums(name)
            totals[letter] = _floats(sums[0], unit)
            values["a", letter] = _floats(sums[1 : 1 + size], unit)
            values[letter, letter] = _floats(sums[1 + size :], unit**2)
        if parts is not None:
            values["x", "y"] = _floats(self._sums(text), 1)
        letters = sorted(totals)
        values |= {(other, one): block.T for (one, other), block in values.items() if one != other}
        products = np.block([[values[one, other] for other in letters] for one in letters])
        total = np.concatenate([totals[letter] for letter in letters])
        variables = tuple(f"{letter}{week}" for letter in letters for week in range(size))
        ours = Moments(variables, int(counts[0, 0]), total, products)
        return ours.select(variables_of(self.weeks, ratio=parts is not None))

    def _sums(self, name: str) -> Exact:
        return self.cells.get(name, np.zeros(shape_of(name, self.weeks), dtype=object))


def shape_of(name: str, weeks: int) -> tuple[int, int]:
    """Returns the shape of a matrix of sums: (1 and a, 1 and a), (1 and a and x, x), of ratios (x, y)."""
    size = weeks + 1
    if name in _BY_WEEK:
        return 1, size
    if name == AUDIENCE:
        return size + 1, size + 1
    return (size, size) if name in RATIOS else (1 + 2 * size, size)


def metrics_among(slices: Iterable[SliceCells]) -> list[str]:
    """Returns the metrics and ratios that there are sums of, those of every experiment among them."""
    special = {AUDIENCE, *_BY_WEEK}
    return sorted({*BASE, *RATIOS, *(name for one in slices for name in one.cells if name not in special)})


def _floats(sums: Exact, unit: int) -> NDArray[np.float64]:
    """Returns whole numbers of 1/unit as the nearest floats."""
    return np.array([int(value) / unit for value in sums.ravel()], np.float64).reshape(sums.shape)
