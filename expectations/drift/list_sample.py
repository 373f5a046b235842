"""A sample of the users of a run with all that made their lists, kept with the run: small enough for one machine."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.ids import IdKind
from features.hash_columns import hash_column, hash_limit

USERS = 4096
"""Users of a sample, about."""


def read_list_sample(
    lists: DataFrame, user_factors: DataFrame, exclusions: DataFrame, rows: int, ids: IdKind
) -> pa.Table:
    """Returns `contract.list_sample` of about USERS of the `rows` lists; the same users every week."""
    frames = (lists, user_factors, exclusions.select("user_id", "source_id"))
    # Joined here: small as the parts are, Spark would shuffle each table for it.
    parts = [frame.where(is_sampled(rows)).toArrow() for frame in frames]
    return list_sample(parts[0], parts[1], parts[2], ids)


def list_sample(lists: pa.Table, user_factors: pa.Table, exclusions: pa.Table, ids: IdKind) -> pa.Table:
    """Returns `contract.list_sample` of all `lists`, of contract tables that hold their users' rows."""
    lists = lists.sort_by("user_id")
    excluded = exclusions.group_by("user_id").aggregate([("source_id", "distinct")])
    columns: dict[str, Any] = {
        **{name: lists[name] for name in ("user_id", "source_ids", "personal")},
        "score": pc.list_flatten(pc.list_slice(lists["scores"], 0, 1, return_fixed_size_list=True)),
        "factors": _of(lists["user_id"], user_factors["user_id"], user_factors["factors"]),
        "excluded": _of(lists["user_id"], excluded["user_id"], excluded["source_id_distinct"]),
    }
    schema = contract.list_sample(ids)
    none: Any = pa.scalar([], columns["excluded"].type)
    columns["excluded"] = pc.fill_null(columns["excluded"], none)
    return pa.table({name: columns[name].cast(schema.field(name).type) for name in schema.names}, schema)


def _of(users: Any, owners: Any, values: Any) -> Any:
    """Returns each user's value; null for one who owns none."""
    return values.take(pc.index_in(users, value_set=owners.cast(users.type)))


def is_sampled(rows: int) -> Column:
    """Returns whether a row's user is in the sample of a run with so many lists."""
    return hash_column(sf.col("user_id")) <= sf.lit(hash_limit(USERS / max(rows, 1)))
