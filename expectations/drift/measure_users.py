"""The numbers that rest on a sample of the users."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.drift.numbers import Number, distance, sizes_of, top_share
from expectations.drift.user_sample import Ints, Rows
from expectations.drift.weeks import PAST, WEEK, Week, bits

Flags = NDArray[np.bool_]

_LEAST_DAYS = 4
"""Known days of the seven, with fewer there is no number of a week."""
_LEAST_SEGMENT, _LEAST_SEGMENT_USERS = 0.01, 50
"""Smallest share of the users, and fewest sampled ones, of a segment that counts."""
_NO_SEGMENT = "users whom the audience lacks"
_HOURS = 24
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Users:
    """Sampled rows of an event dataset; its users, sources and (user, source) pairs, each with its days as bits."""

    rows: Rows
    ids: Ints
    """Each user once."""
    user: Ints
    """Row → place in `ids`."""
    days: Ints
    source: Ints
    """Row → place of its source."""
    source_days: Ints
    pair: Ints
    """Row → place of its pair."""
    pair_days: Ints

    @classmethod
    def of(cls, rows: Rows) -> "Users":
        """Returns the users of the rows."""
        ids, user = _places(rows.user)
        sources, source = _places(rows.source)
        pairs, pair = _places(user * max(len(sources), 1) + source)
        places = ((user, len(ids)), (source, len(sources)), (pair, len(pairs)))
        days, source_days, pair_days = (_days(at, rows.day, count) for at, count in places)
        return cls(rows, ids, user, days, source, source_days, pair, pair_days)

    def seen(self, first: int, last: int) -> Flags:
        """Returns which users have events on the days `first` to `last`."""
        return _any(self.days, first, last)


def day_numbers(users: Users, week: Week, name: str, day: int) -> Iterator[Number]:
    """Yields the numbers of one day."""
    today = users.rows.where(users.rows.day == day)
    events = int(today.number.sum())
    if not events:
        return
    here = users.rows.day == day
    of_user = np.bincount(users.user[here], today.number, len(users.ids)).astype(np.int64)
    of_source = np.bincount(users.source[here], today.number, len(users.source_days)).astype(np.int64)
    active, pairs = int((of_user > 0).sum()), int(_any(users.pair_days, day, day).sum())
    yield "heaviest_users", top_share(sizes_of(of_user), 0.01), active
    yield "busiest_tenth", top_share(sizes_of(of_user), 0.1), active
    yield "largest_user", int(of_user.max()) * active / events, active
    yield "repeats", events / pairs, pairs
    count = int((of_source > 0).sum())
    yield "sources", count, count
    yield "heaviest_sources", top_share(sizes_of(of_source), 0.01), count
    yield "largest_source", int(of_source.max()) / events, events
    if week.has_past(name, day):
        yield "new_users", int((~users.seen(day - PAST, day - 1) & (of_user > 0)).sum()) / active, active
        new = ~_any(users.source_days, day - PAST, day - 1)
        yield "new_sources", int(of_source[new].sum()) / events, count
        yield from _hours(users.rows, day)


def mean_amount(users: Users, day: int) -> Iterator[Number]:
    """Yields the mean weight of a day's events, whatever the order of the rows."""
    here = users.rows.day == day
    if events := int(users.rows.number[here].sum()):
        yield "amount", math.fsum(users.rows.amount[here]) / events, events


def _hours(rows: Rows, day: int) -> Iterator[Number]:
    """Yields how far the day's hours are from those of the second to fourth week before, all days alike."""
    hours = np.bincount(rows.day * _HOURS + rows.hour, minlength=(WEEK + PAST) * _HOURS).reshape(-1, _HOURS)
    past = hours[day - PAST : day - WEEK]
    past = past[past.sum(axis=1) > 0]
    if len(past):
        usual = (past / past.sum(axis=1, keepdims=True)).mean(axis=0)
        yield "hours_moved", distance(hours[day].astype(float), usual), int(hours[day].sum())


def week_numbers(users: Mapping[str, Users], week: Week, name: str, day: int) -> Iterator[Number]:
    """Yields the numbers of the seven days up to `day`, `users` being those of every dataset."""
    mine = users[name]
    start = day - WEEK + 1
    now = mine.seen(start, day)
    if week.known_of(name, day) < _LEAST_DAYS or not now.any():
        return
    if week.has_weeks(name, day):
        if week.is_whole(name, day):
            yield from _returning("returning_users", mine.days, day)
            yield from _returning("returning_sources", mine.source_days, day)
        pairs = _any(mine.pair_days, start, day)
        known = _any(mine.pair_days, day - PAST + 1, day - WEEK)
        yield "returning_pairs", float(known[pairs].mean()), int(pairs.sum())
    others = [one for other, one in users.items() if other != name and week.has_weeks(other, day)]
    if others:
        elsewhere = np.concatenate([one.ids[one.seen(day - PAST + 1, day)] for one in others])
        asked = mine.ids[now & (mine.ids <= min(one.rows.limit for one in others))]
        if len(asked):
            yield "users_elsewhere", float(np.isin(asked, elsewhere).mean()), len(asked)


def _returning(name: str, days: Ints, day: int) -> Iterator[Number]:
    """Yields the share of those with events in each of three weeks who have some in the week after."""
    weeks = (_any(days, day - WEEK * back - 6, day - WEEK * back) for back in (1, 2, 3))
    regular = np.logical_and.reduce([*weeks])
    if regular.any():
        yield name, float(_any(days, day - WEEK + 1, day)[regular].mean()), int(regular.sum())


def snapshot_numbers(users: Users, week: Week, name: str, day: int, snapshot: str, found: Rows) -> Iterator[Number]:
    """Yields the numbers of the seven days up to `day` beside one snapshot."""
    if day < WEEK - 1 or week.known_of(name, day) < _LEAST_DAYS:
        return
    if snapshot == "subscriptions":
        yield from _followed(users, day, found)
    elif snapshot == "sources":
        yield from _known_sources(users, day, found)
    elif snapshot == "audience" and week.has_weeks(name, day):
        yield from _segments(users, day, found)


def _followed(users: Users, day: int, subscriptions: Rows) -> Iterator[Number]:
    now = users.ids[users.seen(day - WEEK + 1, day) & (users.ids <= subscriptions.limit)]
    if not len(now):
        return
    yield "users_subscribed", float(np.isin(now, subscriptions.user).mean()), len(now)
    chosen = (users.rows.day > day - WEEK) & (users.rows.day <= day) & (users.rows.user <= subscriptions.limit)
    rows = users.rows.where(chosen)
    follows = np.isin(_keys(rows), _keys(subscriptions))
    yield "followed", float(rows.number[follows].sum() / rows.number.sum()), len(np.unique(users.pair[chosen]))


def _known_sources(users: Users, day: int, catalogue: Rows) -> Iterator[Number]:
    chosen = (users.rows.day > day - WEEK) & (users.rows.day <= day) & (users.rows.source <= catalogue.limit)
    rows = users.rows.where(chosen)
    events, pairs = int(rows.number.sum()), len(np.unique(users.pair[chosen]))
    if not events:
        return
    unknown = ~np.isin(rows.source, catalogue.source)
    closed = np.isin(rows.source, catalogue.source[catalogue.number == 0])
    yield "unknown_sources", float(rows.number[unknown].sum() / events), pairs
    yield "closed_sources", float(rows.number[closed].sum() / events), pairs


def _segments(users: Users, day: int, audience: Rows) -> Iterator[Number]:
    """Yields the smallest ratio of a segment's share of the users to its share in the three weeks before.

    Users whom the audience lacks are a segment, too: so one that is lost from the audience as well is seen.
    """
    ids, first = np.unique(audience.user, return_index=True)
    names, segment = np.unique(audience.source[first], return_inverse=True)
    at = np.searchsorted(ids, users.ids)
    known = np.isin(users.ids, ids)
    of_user = np.full(len(users.ids), len(names))
    of_user[known] = segment[at[known]]
    asked = users.ids <= audience.limit
    now = np.bincount(of_user[asked & users.seen(day - WEEK + 1, day)], minlength=len(names) + 1)
    past = np.bincount(of_user[asked & users.seen(day - PAST + 1, day - WEEK)], minlength=len(names) + 1)
    counted = (past >= _LEAST_SEGMENT_USERS) & (past >= _LEAST_SEGMENT * past.sum())
    if counted.any() and now.sum():
        change = now[counted] / now.sum() / (past[counted] / past.sum())
        weakest = int(np.flatnonzero(counted)[change.argmin()])
        label = _NO_SEGMENT if weakest == len(names) else audience.labels[int(names[weakest])]
        yield "weakest_segment", float(change.min()), int(now.sum()), label


def _any(days: Ints, first: int, last: int) -> Flags:
    """Returns which have any of the days `first` to `last`."""
    return np.asarray((days & bits(first, last)) != 0)


def _places(values: Ints) -> tuple[Ints, Ints]:
    """Returns each value once, and the place of every value among these."""
    encoded = pa.array(values).dictionary_encode()  # by hashes; numpy would sort
    return encoded.dictionary.to_numpy(), encoded.indices.to_numpy().astype(np.int64)


def _days(places: Ints, day: Ints, count: int) -> Ints:
    """Returns for each place the days of its rows, as bits."""
    days = np.zeros(count, np.int64)
    np.bitwise_or.at(days, places, np.left_shift(1, day))
    return days


def _keys(rows: Rows) -> NDArray[np.uint64]:
    """Returns one number per (user, source), which only equal pairs share but for one in 2^40 or so."""
    return rows.user.astype(np.uint64) * _MIX + rows.source.astype(np.uint64)
