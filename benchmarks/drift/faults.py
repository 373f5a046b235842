"""Faults of tables: rows as a broken system would write them. Ids are int64 or strings.

Tables are those of a whole week, with the day of each row in `DAY` (`benchmarks/drift/week.py`).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.drift.week import DAY, Ids, PlantError, distinct

HOUR = 3_600_000_000
"""Microseconds."""
Marks = NDArray[np.bool_]
_DAY = 24 * HOUR
_FIRST_STRANGER = 1 << 40
_UTC = pa.timestamp("us", tz="UTC")


def shifted(table: pa.Table, column: str) -> pa.Table:
    """Returns rows that each have the value of the row before in a column; the first has the last one's."""
    return put(table, column, table[column].take(np.roll(np.arange(len(table)), 1)))


def shuffled(table: pa.Table, column: str, rng: Generator) -> pa.Table:
    """Returns the rows with the values of a column in random order."""
    return put(table, column, table[column].take(rng.permutation(len(table))))


def renamed(table: pa.Table, column: str, old: Ids, new: Ids) -> pa.Table:
    """Returns the rows with each of `old` ids called as in `new`."""
    return put(table, column, new.take(np.asarray(pc.index_in(table[column], old))))


def strangers(ids: Ids, rng: Generator) -> Ids:
    """Returns as many ids of the same type that nobody has."""
    numbers = np.unique(rng.integers(_FIRST_STRANGER, 2 * _FIRST_STRANGER, 2 * len(ids)))
    drawn = pa.array(rng.permutation(numbers)[: len(ids)])
    names: Ids = drawn
    if not pa.types.is_integer(ids.type):
        names = pa.array([f"x{number}" for number in drawn.to_pylist()], ids.type)
    return names


def some(ids: Ids, share: float, rng: Generator) -> Ids:
    """Returns a random share of the ids."""
    return ids.take(np.sort(rng.permutation(len(ids))[: round(share * len(ids))]))


def without(table: pa.Table, column: str, values: Ids) -> pa.Table:
    """Returns the rows that have none of these values."""
    return table.filter(pc.invert(pc.is_in(table[column], value_set=values)))


def thinned(table: pa.Table, share: float, rng: Generator, where: Marks | None = None) -> pa.Table:
    """Returns the rows without a random share of them, or of those that `where` marks."""
    lost = rng.random(len(table)) < share
    return table.filter(pa.array(~lost if where is None else ~(lost & where)))


def doubled(table: pa.Table, share: float, rng: Generator) -> pa.Table:
    """Returns the rows, a random share of them twice."""
    return table.take(np.repeat(np.arange(len(table)), 1 + (rng.random(len(table)) < share)))


def swapped(table: pa.Table, column: str, one: str, other: str) -> pa.Table:
    """Returns the rows with two values of a column exchanged."""
    ones, others = having(table, column, one), having(table, column, other)
    return overwritten(overwritten(table, column, other, ones), column, one, others)


def overwritten(table: pa.Table, column: str, value: object, where: Marks) -> pa.Table:
    """Returns the rows, those that `where` marks with `value` in a column."""
    values = table[column]
    return put(table, column, pc.if_else(pa.array(where), pa.scalar(value, values.type), values))


def having(table: pa.Table, column: str, value: object) -> Marks:
    """Marks the rows with that value in a column."""
    wanted: Any = pa.scalar(value, table[column].type)
    return np.asarray(pc.equal(table[column], wanted).fill_null(False))  # noqa: FBT003 (pyarrow's signature)


def forged(table: pa.Table, users: Ids, sources: Ids, rng: Generator) -> pa.Table:
    """Returns the rows and, after them, one for each user and source, otherwise like a random row."""
    likeness = table.take(rng.integers(0, len(table), len(users)))
    return pa.concat_tables([table, put(put(likeness, "user_id", users), "source_id", sources)])


def overrun(table: pa.Table, bots: Ids, rng: Generator) -> pa.Table:
    """Returns the rows and as many by `bots`, on any source alike."""
    known = distinct(table["source_id"])
    users, sources = (ids.take(rng.integers(0, len(ids), len(table))) for ids in (bots, known))
    return forged(table, users, sources, rng)


def pushed(table: pa.Table, users: Ids, source: Any, times: int, rng: Generator) -> pa.Table:
    """Returns the rows and `times` more of each of `users` with a source."""
    by = users.take(np.repeat(np.arange(len(users)), times))
    return forged(table, by, pa.repeat(pa.scalar(source, table["source_id"].type), len(by)), rng)


def impressed(table: pa.Table, times: int, rng: Generator) -> pa.Table:
    """Returns the rows and about `times` as many pairs of a user and a source that is popular but not among theirs."""
    drawn = shuffled(table.take(np.repeat(np.arange(len(table)), times)), "source_id", rng)
    users, sources = (distinct(table[name]) for name in ("user_id", "source_id"))
    known, seen = (_pairs(rows, users, sources) for rows in (table, drawn))
    return pa.concat_tables([table, drawn.filter(pa.array(~np.isin(seen, known)))])


def later(table: pa.Table, microseconds: int, *, with_day: bool) -> pa.Table:
    """Returns the rows so much later; those that pass midnight move to another day, or (not `with_day`) are lost."""
    moments = _moments(table) + microseconds
    days = moments // _DAY
    moved = put(table, "ts", pa.array(moments).cast(_UTC).cast(table["ts"].type))
    return put(moved, DAY, pa.array(days)) if with_day else moved.filter(pa.array(days == day_of(table)))


def repeated(table: pa.Table, first: int, copies: int) -> pa.Table:
    """Returns the rows with the content of the day `first` on that many days after it, too."""
    content = table.filter(pc.field(DAY) == first)
    stale = [days_later(content, day) for day in range(1, copies + 1)]
    others = table.filter(pa.array((day_of(table) <= first) | (day_of(table) > first + copies)))
    return pa.concat_tables([others, *stale])


def days_later(table: pa.Table, days: int) -> pa.Table:
    """Returns the rows as those of so many days later."""
    return later(table, days * _DAY, with_day=True)


def day_of(table: pa.Table) -> NDArray[np.int64]:
    """Returns the day of each row's partition."""
    return np.asarray(table[DAY], np.int64)


def hour_of(table: pa.Table) -> NDArray[np.int64]:
    """Returns the hour of day of each row."""
    return np.asarray(_moments(table) % _DAY // HOUR)


def put(table: pa.Table, column: str, values: Any) -> pa.Table:
    """Returns the table with other values in a column. Raises PlantError where it has no such column."""
    place = table.schema.get_field_index(column)
    if place < 0:
        raise PlantError(f"there is no column {column!r} to change; there are: {', '.join(table.column_names)}")
    return table.set_column(place, column, values)


def _pairs(table: pa.Table, users: Ids, sources: Ids) -> NDArray[np.int64]:
    """Returns a number for each row's pair of ids."""
    user, source = (
        np.asarray(pc.index_in(table[name], ids), np.int64)
        for name, ids in (("user_id", users), ("source_id", sources))
    )
    return user * len(sources) + source


def _moments(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["ts"].cast(_UTC).cast(pa.int64()), np.int64)
