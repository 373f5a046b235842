"""Sums over the users of a bucket, by KEYS: what may be added up over buckets, and nothing about a single user."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.contract import HIT_WITHIN_SECONDS, USER_GROUPS
from conf.ids import partition_of
from conf.outcomes import OutcomeSettings
from features.exact_sum import PARTS, parts_of
from models.arrays.arrow import Column, column_of
from models.outcomes.basis import Basis
from models.outcomes.columns import NONE, Answers, Bucket, Events, Flags, Ints, Texts, different, places_in
from models.outcomes.credit import Credit, credit, places_among, width_of
from models.outcomes.propensities import Shown, swaps_of
from models.outcomes.rows import DAY_US

KEYS = ("day", "basis", "run", "arm", "by", "value")
LEFT_OUT = "left_out"
"""`by` of the rows that count what was left out; their value says why."""
GROUP = "group"
"""`by` of the rows about groups of users, which end in columns of the rows `by` all."""
SWAP = "swap"
"""`by` of the rows about hits whose source was at another place (`propensities`)."""
AMOUNTS = ("amount", "amount_listed")
LARGEST = "largest"
"""Of a sum of amounts: its largest term."""
_COUNTS = ("users", "answers", "places", "hits", "placed", "users_hit", "first_hit_ms")
_OF_EVENTS = ("events", "events_listed", "new", "new_listed")
_DELAY_MS = 2**31
"""More than the milliseconds of horizon and a day: one integer sorts by time and has the delay as its remainder."""
Categories = tuple[Column, Texts]
"""Sources, and the category of each."""


def counts_of(settings: OutcomeSettings) -> tuple[str, ...]:
    """Returns the columns that are counts."""
    at = (f"hits_{k}" for k in settings.at)
    return (*_COUNTS, *at, *(f"within_{i}" for i in range(len(HIT_WITHIN_SECONDS) + 1)), *_OF_EVENTS)


def schema_of(settings: OutcomeSettings) -> pa.Schema:
    """Returns the schema of `sums_of`: a key may be there many times; null: nothing of that kind."""
    keys = [(name, pa.int32() if name == "day" else pa.string()) for name in KEYS]
    amounts = [(f"{name}_{part}", pa.int64()) for name in AMOUNTS for part in PARTS]
    largest = [(f"{name}_{LARGEST}", pa.float64()) for name in AMOUNTS]
    return pa.schema([*keys, *((name, pa.int64()) for name in counts_of(settings)), *amounts, *largest])


def sums_of(bucket: Bucket, days: Sequence[int], settings: OutcomeSettings, categories: Categories | None) -> pa.Table:
    """Returns the sums of all bases."""
    tables, groups = [], _groups_of(bucket.users)
    for basis, answers in bucket.answers.items():
        known = categories and of_sources(bucket.sources, categories)
        part = _Part(answers, bucket.events, days, settings, known, groups, basis in (Basis.ANSWERED, Basis.SHOWN))
        left = _left_out(bucket.robot_answers[basis], bucket.robot_events, days)
        for table in (*part.tables(), *left):
            tables.append(table.append_column("basis", pa.array([basis] * len(table), pa.string())))
    schema = schema_of(settings)
    return pa.concat_tables([schema.empty_table(), *tables], promote_options="default").select(schema.names)


def _groups_of(users: Column) -> Texts:
    """Returns the group of each user by its number."""
    code = np.fromiter((partition_of(str(user), USER_GROUPS) for user in users.to_pylist()), np.int64, len(users))
    return Texts(code, [str(group) for group in range(USER_GROUPS)])


def of_sources(sources: Column, categories: Categories) -> Texts:
    """Returns the category of each source by its number; null: unknown."""
    ids, known = categories
    place = places_in(sources, ids)
    has_null = known.values[:1] == [None]
    code = known.code if has_null else known.code + 1
    if not len(code):
        code = np.zeros(1, np.int64)
    return Texts(np.where(place == NONE, 0, code[place]), known.values if has_null else [None, *known.values])


@dataclass(frozen=True)
class _Part:
    """The sums of one basis."""

    answers: Answers
    events: Events
    days: Sequence[int]
    settings: OutcomeSettings
    categories: Texts | None
    """Of each source; None: not known."""
    groups: Texts
    """Of each user."""
    counts_swaps: bool

    def tables(self) -> Iterator[pa.Table]:
        """Yields sums with all KEYS but basis."""
        yield from self._of_answers()
        yield from self._of_places()
        yield from self._of_events()
        yield from self._of_hits(self.credit.hit, ["all", "category", "position", "surface", GROUP])
        yield from self._of_hits(self.credit.hit_of_event, ["event"])
        if self.counts_swaps:
            yield from self._of_swaps()

    @cached_property
    def credit(self) -> Credit:
        """What events count for."""
        return credit(self.answers, self.events, self.settings)

    @cached_property
    def cell(self) -> Ints:
        """Of each answer: a number for its day, run and arm."""
        runs, arms = len(self.answers.run.values), len(self.answers.arm.values)
        return ((self.answers.day - self.days[0]) * runs + self.answers.run.code) * arms + self.answers.arm.code

    @cached_property
    def is_asked(self) -> Flags:
        """Of each answer: whether it was given on a day that is measured."""
        return np.isin(self.answers.day, self.days)

    def _of_answers(self) -> Iterator[pa.Table]:
        places = np.flatnonzero(self.is_asked)
        size, user = self.answers.size[places], self.answers.user[places]
        surface = self.answers.surface.take(places)
        for by, value in (("all", None), ("surface", surface), (GROUP, self.groups.take(user))):
            group = _Group.of(self.cell[places], value)
            sums = {"answers": group.count(), "places": group.sum(size), "users": group.distinct(user)}
            yield self._table(by, group, sums)

    def _of_places(self) -> Iterator[pa.Table]:
        places = self.is_asked[self.answers.answer]
        cell, position = self.cell[self.answers.answer[places]], self.answers.position[places]
        if self.categories is not None:
            group = _Group.of(cell, _category_of(self.categories, self.answers.source[places]))
            yield self._table("category", group, {"places": group.count()})
        group = _Group.of(cell, _positions(position))
        yield self._table("position", group, {"answers": group.count(), "places": group.count()})

    def _of_events(self) -> Iterator[pa.Table]:
        owned = np.flatnonzero(self.credit.owner != NONE)
        owned = owned[self.is_asked[self.credit.owner[owned]]]
        engaging = owned[self.events.engages[owned]]
        for by, value in self._values(engaging, self.credit.owner, ["all", "category", "surface"]):
            yield self._event_sums(by, engaging, value)
        event = self.events.event.take(owned)
        yield self._event_sums("event", owned, event)
        for name, is_counted in zip(AMOUNTS, (owned >= 0, self.credit.holder[owned] != NONE), strict=True):
            has = is_counted & ~np.isnan(self.events.amount[owned])
            group = _Group.of(self.cell[self.credit.owner[owned[has]]], event.take(has))
            yield self._table("event", group, _amounts(name, group, self.events.amount[owned[has]]))

    def _event_sums(self, by: str, places: Ints, value: Texts | None) -> pa.Table:
        group = _Group.of(self.cell[self.credit.owner[places]], value)
        listed, new = self.credit.holder[places] != NONE, self.credit.new[places]
        counted = dict(zip(_OF_EVENTS, (None, listed, new, new & listed), strict=True))
        return self._table(by, group, {name: group.count(which) for name, which in counted.items()})

    def _of_hits(self, which: Flags, kinds: Sequence[str]) -> Iterator[pa.Table]:
        places = np.flatnonzero(which)
        places = places[self.is_asked[self.credit.holder[places]]]
        holder, position, user = self.credit.holder[places], self.credit.position[places], self.events.user[places]
        delay = (self.events.at[places] - self.answers.at[holder]) // 1000
        first = (self.events.at[places] - self.answers.day[holder] * DAY_US) // 1000 * _DELAY_MS + delay
        for by, value in self._values(places, self.credit.holder, kinds):
            group = _Group.of(self.cell[holder], value)
            sums = {"hits": group.count(), "placed": group.count(position > 0)}
            sums |= {f"hits_{k}": group.count((position > 0) & (position <= k)) for k in self.settings.at}
            of_user, first_ms = group.firsts(user, first)
            delays = first_ms % _DELAY_MS
            within = np.searchsorted(1000 * np.array(HIT_WITHIN_SECONDS), delays, side="right")
            sums |= {"users_hit": of_user.count(), "first_hit_ms": of_user.sum(delays)}
            sums |= {f"within_{i}": of_user.count(within == i) for i in range(len(HIT_WITHIN_SECONDS) + 1)}
            yield self._table(by, group, sums)

    def _of_swaps(self) -> Iterator[pa.Table]:
        """Yields hits whose source was at another place `horizon_days` before or after, by the later of both days."""
        hit, apart, day = np.flatnonzero(self.credit.hit), self.settings.horizon_days, self.answers.day
        width, user, holder = width_of(self.answers, self.events), self.events.user[hit], self.credit.holder[hit]
        hits = Shown(user * width + self.events.source[hit], day[holder], self.credit.position[hit])
        pair = self.answers.user[self.answers.answer] * width + self.answers.source
        touched = places_among(np.where(self.answers.source == NONE, NONE, pair), different(hits.pair))
        shown = Shown(pair[touched], day[self.answers.answer[touched]], self.answers.position[touched])
        for later, lag in ((hits.day, -apart), (hits.day + apart, apart)):
            which, other = swaps_of(hits, shown, lag)
            keys = [later[which], self.groups.code[user[which]], hits.place[which], other]
            rows, counts = np.unique(np.array(keys)[:, np.isin(keys[0], self.days)], axis=1, return_counts=True)
            texts = [":".join(map(str, key)) for key in rows[1:].T.tolist()]
            columns: dict[str, Column] = {"day": pa.array(rows[0], pa.int32()), "hits": column_of(counts)}
            for name, values in {"by": [SWAP] * len(texts), "value": texts}.items():
                columns[name] = pa.array(values, pa.string())
            yield pa.table({**columns, **{name: pa.nulls(len(texts), pa.string()) for name in ("run", "arm")}})

    def _values(self, places: Ints, of: Ints, kinds: Sequence[str]) -> Iterator[tuple[str, Texts | None]]:
        """Yields the value of each event by kind, about the owner or holder in `of`."""
        values = {
            "all": None,
            "category": self.categories and self.categories.take(self.events.source[places]),
            "surface": self.answers.surface.take(of[places]),
            "event": self.events.event.take(places),
            "position": _positions(self.credit.position[places]),
            GROUP: self.groups.take(self.events.user[places]),
        }
        for by in kinds:
            if by != "category" or self.categories is not None:
                yield by, values[by]

    def _table(self, by: str, group: "_Group", sums: Mapping[str, NDArray[np.generic]]) -> pa.Table:
        run, arm = self.answers.run.values, self.answers.arm.values
        days, rest = np.divmod(group.cell, len(run) * len(arm)) if len(group.cell) else (group.cell, group.cell)
        columns: dict[str, Column] = {
            "day": pa.array(days + self.days[0], pa.int32()),
            "run": pa.array([run[place // len(arm)] for place in rest], pa.string()),
            "arm": pa.array([arm[place % len(arm)] for place in rest], pa.string()),
            "by": pa.array([by] * len(days), pa.string()),
            "value": pa.array(group.value, pa.string()),
        }
        return pa.table({**columns, **{name: column_of(column) for name, column in sums.items()}})


@dataclass(frozen=True)
class _Group:
    """Rows by cell and value."""

    of_row: Ints
    """Of each row: the number of its group."""
    cell: Ints
    """Of each group."""
    value: Sequence[str | None]

    @classmethod
    def of(cls, cell: Ints, value: Texts | None) -> "_Group":
        """Returns the groups of rows."""
        texts: Sequence[str | None] = [None] if value is None else value.values
        key = cell * len(texts) + (0 if value is None else value.code)
        groups, of_row = _unique(key)
        return cls(of_row, groups // len(texts), [texts[place] for place in groups % len(texts)])

    def count(self, which: Flags | None = None) -> Ints:
        """Returns how many rows there are, or those of them that `which` says."""
        return np.bincount(self.of_row if which is None else self.of_row[which], minlength=len(self.cell))

    def sum(self, numbers: Ints) -> Ints:
        """Returns the sums of numbers; exact, since they are below 2^53."""
        return np.bincount(self.of_row, numbers, minlength=len(self.cell)).astype(np.int64)

    def distinct(self, user: Ints) -> Ints:
        """Returns how many users there are."""
        pairs = different(user * max(1, len(self.cell)) + self.of_row)
        return np.bincount(pairs % max(1, len(self.cell)), minlength=len(self.cell))

    def firsts(self, user: Ints, number: Ints) -> tuple["_Group", Ints]:
        """Returns one row per group and user, with the least of its numbers."""
        order = np.lexsort((number, user, self.of_row))
        is_first = np.ones(len(order), np.bool_)
        is_first[1:] = (np.diff(user[order]) != 0) | (np.diff(self.of_row[order]) != 0)
        chosen = order[is_first]
        return _Group(self.of_row[chosen], self.cell, self.value), number[chosen]


def _unique(keys: Ints) -> tuple[Ints, Ints]:
    """Returns the different keys, and of each row the place of its own; without a sort where keys are close."""
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if high - low > 4 * len(keys) + 2**16:
        return np.unique(keys, return_inverse=True)
    counts = np.bincount(keys - low)
    return np.flatnonzero(counts) + low, (np.cumsum(counts > 0) - 1)[keys - low]


def _positions(position: Ints) -> Texts:
    values, code = np.unique(position, return_inverse=True) if position.max(initial=0) > 2**16 else (None, position)
    if values is None:
        values = np.arange(position.max(initial=0) + 1)
    return Texts(code, [str(place) if place else None for place in values.tolist()])


def _category_of(categories: Texts, source: Ints) -> Texts:
    """Returns the category of each place; a source of which nothing is known has none."""
    return Texts(np.where(source == NONE, 0, categories.code[source]), categories.values)


def _amounts(name: str, group: _Group, amount: NDArray[np.float64]) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    for part, integers in zip(PARTS, parts_of(amount), strict=True):
        found[f"{name}_{part}"] = np.zeros(len(group.cell), np.int64)
        np.add.at(found[f"{name}_{part}"], group.of_row, integers)
    found[f"{name}_{LARGEST}"] = np.zeros(len(group.cell))
    np.maximum.at(found[f"{name}_{LARGEST}"], group.of_row, np.abs(amount))
    return found


def _left_out(answers: Answers, events: Events, days: Sequence[int]) -> Iterator[pa.Table]:
    """Yields what robots did, and was answered to them, by day."""
    for day in days:
        asked, done = answers.user[answers.day == day], events.user[events.day == day]
        users = len(np.union1d(asked, done))
        if users:
            counts = {"users": users, "answers": len(asked), "events": len(done)}
            texts = {"run": None, "arm": None, "by": LEFT_OUT, "value": "robots"}
            columns: dict[str, Column] = {name: pa.array([value], pa.string()) for name, value in texts.items()}
            columns |= {name: pa.array([value], pa.int64()) for name, value in counts.items()}
            yield pa.table({"day": pa.array([day], pa.int32()), **columns})
