"""Answers and events of whole users as numpy arrays, in which users, sources and texts are numbers."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.outcomes import OutcomeSettings
from models.arrays.arrow import Chunks, Column, lengths_of, numpy_of, whole
from models.outcomes.rows import ANSWER, ANSWERED, DAY_US, EVENT

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_EPOCH = dt.date(1970, 1, 1)
NONE = -1
"""Instead of a place in an array: there is none."""


@dataclass(frozen=True)
class Texts:
    """A column of texts: their numbers, in the order of the texts, null first."""

    code: Ints
    values: Sequence[str | None]

    @classmethod
    def of(cls, column: Chunks) -> "Texts":
        """Returns the column as numbers."""
        found = whole(column).dictionary_encode(null_encoding="encode")
        values = found.dictionary.to_pylist()
        order = sorted(range(len(values)), key=lambda place: (values[place] is not None, values[place] or ""))
        rank = np.empty(len(values), np.int64)
        rank[order] = np.arange(len(values))
        return cls(rank[numpy_of(found.indices)], [values[place] for place in order])

    def take(self, places: Ints | Flags) -> "Texts":
        """Returns the texts at these places."""
        return Texts(self.code[places], self.values)


@dataclass(frozen=True)
class Events:
    """Events; the same place in each array is one event."""

    user: Ints
    at: Ints
    """Microseconds since 1970."""
    source: Ints
    event: Texts
    amount: NDArray[np.float64]
    """NaN: none."""
    engages: Flags

    @property
    def day(self) -> Ints:
        """Days since 1970."""
        return self.at // DAY_US

    def take(self, places: Ints | Flags) -> "Events":
        """Returns the events at these places."""
        return Events(
            self.user[places],
            self.at[places],
            self.source[places],
            self.event.take(places),
            self.amount[places],
            self.engages[places],
        )


@dataclass(frozen=True)
class Answers:
    """Answers of one basis, sorted by user, time, and what is known of them; their places are in any order."""

    user: Ints
    at: Ints
    run: Texts
    arm: Texts
    surface: Texts
    size: Ints
    """How many places."""
    answer: Ints
    """Of each place: which answer it is in."""
    source: Ints
    """Of each place; NONE: nobody did anything with it, and it has no category."""
    position: Ints
    """Of each place, from 1; 0: unknown."""

    @property
    def day(self) -> Ints:
        """Days since 1970."""
        return self.at // DAY_US

    def where(self, kept: Flags) -> "Answers":
        """Returns the answers that are kept."""
        renumbered, places = np.cumsum(kept) - 1, kept[self.answer]
        return Answers(
            self.user[kept],
            self.at[kept],
            self.run.take(kept),
            self.arm.take(kept),
            self.surface.take(kept),
            self.size[kept],
            renumbered[self.answer[places]],
            self.source[places],
            self.position[places],
        )


@dataclass(frozen=True)
class Bucket:
    """All rows of some users."""

    users: Column
    """Number → id."""
    sources: Column
    """Number → id: those with events, and those with a category."""
    answers: Mapping[str, Answers]
    """Basis → answers to users who were no robots on that day."""
    robot_answers: Mapping[str, Answers]
    """Basis → the others."""
    events: Events
    """Events of users who were no robots on that day."""
    robot_events: Events
    """The others."""


def bucket_of(
    tables: Mapping[str, pa.Table], bases: Sequence[str], settings: OutcomeSettings, known: Column | None
) -> Bucket:
    """Returns the rows of whole users as arrays. known: sources that have a number in any case."""
    asked, done = tables[ANSWERED], tables[EVENT]
    users = _different(asked["user_id"], done["user_id"])
    sources = _different(done["source_id"], *([] if known is None else [known.cast(done["source_id"].type)]))
    events = Events(
        places_in(done["user_id"], users),
        numpy_of(done["at"]),
        places_in(done["source_id"], sources),
        Texts.of(done["event"]),
        numpy_of(_filled(done["amount"], float("nan"))),
        numpy_of(done["engages"]),
    )
    robots = _robots(events, settings.robots.max_events_per_day)
    is_robot = _is_among(_user_day(events.user, events.day), robots)
    split = {
        basis: _split(_answers(asked.filter(pc.field("basis") == basis), users, sources), robots) for basis in bases
    }
    return Bucket(
        users,
        sources,
        {basis: kept for basis, (kept, _) in split.items()},
        {basis: left for basis, (_, left) in split.items()},
        events.take(~is_robot),
        events.take(is_robot),
    )


def _answers(table: pa.Table, users: Column, sources: Column) -> Answers:
    run, arm, surface = (Texts.of(table[name]) for name in ANSWER)
    user, at = places_in(table["user_id"], users), numpy_of(table["at"])
    lists: Any = table["source_ids"].combine_chunks()  # pyarrow's stubs do not know that it is of lists
    order = np.lexsort((surface.code, arm.code, run.code, at, user))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    size = lengths_of(lists)
    index = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    first = np.repeat(numpy_of(_filled(table["first"], 0)), size)
    return Answers(
        user[order],
        at[order],
        run.take(order),
        arm.take(order),
        surface.take(order),
        size[order],
        np.repeat(rank, size),
        places_in(lists.flatten(), sources),
        np.where(first > 0, first + index, 0),
    )


def _split(answers: Answers, robots: Ints) -> tuple[Answers, Answers]:
    """Returns the answers to others than robots, and those to robots."""
    is_robot = _is_among(_user_day(answers.user, answers.day), robots)
    return (answers.where(~is_robot), answers.where(is_robot)) if is_robot.any() else (answers, answers.where(is_robot))


def _robots(events: Events, most: int | None) -> Ints:
    """Returns the days of users with more than so many events, sorted."""
    days = np.sort(_user_day(events.user, events.day))
    if most is None or most >= len(days):
        return days[:0]
    return np.unique(days[most:][days[most:] == days[:-most]])


def _user_day(user: Ints, day: Ints) -> Ints:
    return user * 2**24 + day


def _is_among(keys: Ints, some: Ints) -> Flags:
    return np.isin(keys, some) if len(some) else np.zeros(len(keys), np.bool_)


def day_number(day: dt.date) -> int:
    """Returns the days since 1970."""
    return (day - _EPOCH).days


def different(numbers: Ints) -> Ints:
    """Returns the different numbers, sorted; numpy's own `unique` makes a table of them first, which takes longer."""
    some: Ints = np.sort(numbers)
    found: Ints = some[np.diff(some, prepend=some[:1] - 1) != 0]
    return found


def places_in(column: Column | Chunks, values: Column) -> Ints:
    """Returns where each value is among `values`; NONE: nowhere."""
    return numpy_of(_filled(pc.index_in(column, values.cast(column.type)), NONE)).astype(np.int64)


def _filled(column: Any, value: float) -> Chunks:
    filled: Chunks = column.fill_null(value)
    return filled


def _different(*columns: Column | Chunks) -> Column:
    """Returns the values of columns of one type, each once."""
    every: Any = pa.chunked_array([whole(column) for column in columns])
    return whole(every.unique())
