"""Whether the model that serves predicts the new days: what users newly engaged with, beside the lists they had.

Counts of events say nothing about who did what. Ids that are mixed up, a broken join or a wrong dataset leave every
count as it was; but what the lists promised no longer comes true.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import default_rng
from numpy.typing import NDArray

from expectations.drift.history import Measured

_RIVALS = 500
"""Sources, drawn once, with which the score of a source that a user engaged with is compared."""
_LEAST = 30
"""Fewest new engagements of a day for a number."""

Ints = NDArray[np.int64]
Column = Any
"""A column of a pyarrow table, whose stubs do not know what it can."""


@dataclass(frozen=True)
class Served:
    """The run that serves, as far as its sample goes."""

    sample: pa.Table
    """`contract.list_sample`."""
    source_factors: pa.Table
    """`contract.source_factors`."""
    popular: Column
    """Ids of the most popular sources, as many as a list has."""
    lists: int
    """Number of its lists."""


def served_numbers(served: Served, engaged: pa.Table, made_of: Mapping[dt.date, str]) -> list[Measured]:
    """Returns the numbers of each new day.

    engaged: (dt, user_id, source_id) of the days, of the users of the sample; a pair counts on its first day, if the
    user's list could have held the source. made_of: day → what the day's events rest on.
    """
    pairs = _new_pairs(served, engaged)
    found = []
    for day, by in sorted(made_of.items()):
        today = pairs.filter(pc.equal(pairs["dt"], pa.scalar(day, pa.date32())))
        if today.num_rows >= _LEAST:
            found += [
                Measured("served", "served", name, day, value, n, by) for name, value, n in _numbers(served, today)
            ]
    return found


def _new_pairs(served: Served, engaged: pa.Table) -> pa.Table:
    """Returns (dt, user, source, listed) of pairs that the lists could have promised, listed: whether they did.

    user, source are rows of the tables.
    """
    columns: dict[str, Column] = {
        "dt": engaged["dt"],
        "user": pc.index_in(engaged["user_id"], value_set=served.sample["user_id"]),
        "source": pc.index_in(engaged["source_id"], value_set=served.source_factors["source_id"]),
    }
    table = pa.table(columns).drop_null()
    first = table.group_by(["user", "source"]).aggregate([("dt", "min")]).rename_columns(["user", "source", "dt"])
    keys = _keys(_rows(first["user"]), _rows(first["source"]))
    first = first.append_column("listed", _held(served, "source_ids", keys))
    return first.filter(pa.array(~np.asarray(_held(served, "excluded", keys))))


def _numbers(served: Served, pairs: pa.Table) -> Iterator[tuple[str, float, float]]:
    users, sources = _rows(pairs["user"]), _rows(pairs["source"])
    listed = np.asarray(pairs["listed"])
    popular = _rows(pc.index_in(served.popular, value_set=served.source_factors["source_id"]))
    count = len(users)
    yield "listed", float(listed.mean()), count
    in_popular = (np.isin(sources, popular).sum() + 0.5) / (count + 1)
    yield "over_popularity", float((listed.sum() + 0.5) / (count + 1) / in_popular), count
    has_factors = np.asarray(pc.is_valid(served.sample["factors"]))[users]
    if has_factors.sum() >= _LEAST:
        yield "rank", _rank(served, users[has_factors], sources[has_factors]), float(has_factors.sum())


def _rank(served: Served, users: Ints, sources: Ints) -> float:
    """Returns the mean share of rivals that the serving factors rank below the source, 0 … 1; chance is a half."""
    of_sources = _matrix(served.source_factors["factors"])
    rivals = default_rng(0).choice(len(of_sources), min(_RIVALS, len(of_sources)), replace=False)
    of_users = _matrix(served.sample["factors"].take(pa.array(users, pa.int64())))
    own = np.einsum("ij,ij->i", of_users, of_sources[sources])
    others = of_users @ of_sources[rivals].T
    below, level = (int(np.count_nonzero(found)) for found in (others < own[:, None], others == own[:, None]))
    return (below + level / 2) / others.size  # of counts, so that the order of the pairs changes no digit


def _held(served: Served, column: str, keys: Ints) -> Column:
    """Returns whether each pair is in a column of lists of sources."""
    lists: Column = served.sample[column]
    owners = np.repeat(np.arange(len(lists)), np.asarray(pc.list_value_length(lists)))
    held = _keys(owners, _rows(pc.index_in(pc.list_flatten(lists), value_set=served.source_factors["source_id"])))
    return pc.is_in(pa.array(keys), value_set=pa.array(held))


def _matrix(column: Column) -> NDArray[np.float32]:
    return np.asarray(pc.list_flatten(column), np.float32).reshape(len(column), -1)


def _rows(places: Column) -> Ints:
    """Returns row numbers; −1 for null."""
    return np.asarray(pc.fill_null(places, -1)).astype(np.int64)


def _keys(users: Ints, sources: Ints) -> Ints:
    """Returns one number per pair of rows; −1 for a source that has no row."""
    return np.where(sources < 0, -1, users * 2**32 + sources)
