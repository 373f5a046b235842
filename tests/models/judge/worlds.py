"""A world small enough for paper, and judging it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from conf import contract
from conf.ids import IdKind
from conf.settings import JudgeSettings
from models.judge import JudgeInputs, Judgement, KnownSources, gather_judged, judge, judge_users
from models.lists.fallback import Fallback
from tests.models.worlds import EPOCH, ids_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Lists = Mapping[int, Sequence[int]]

CUT = dt.date(2026, 11, 14)
SETTINGS = JudgeSettings(heavy_from=3, new_source_days=7, replicates=50)


def sources_table(
    users: Mapping[int, int], since: Mapping[int, dt.date] | None = None, kind: IdKind = "int64"
) -> pa.Table:
    """contract.train_sources: users by source, all eligible; `since` where it is known."""
    days = [None if since is None else since.get(source) for source in users]
    times = [None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC) for day in days]
    nulls = pa.nulls(len(users))
    columns = [[True] * len(users), nulls, nulls, list(users.values()), [float(n) for n in users.values()], times]
    schema = contract.train_sources(kind)
    arrays = [
        pa.array(column, type_) if isinstance(column, list) else column.cast(type_)
        for column, type_ in zip(columns, schema.types[1:], strict=True)
    ]
    return pa.Table.from_arrays([ids_of(users, kind), *arrays], schema=schema)


class World:
    """Tables of one judging; sources 1 to 9 are popular in this order, 9 users know source 1, one knows source 9."""

    def __init__(self, spark: "SparkSession", folder: Path, kind: IdKind = "int64") -> None:
        self.spark, self.kind, self.folder = spark, kind, folder / "known"
        self.popularity = {source: 10 - source for source in range(1, 10)}
        self.since = {source: CUT - dt.timedelta(days=source) for source in self.popularity}
        known = KnownSources.build(
            sources_table(self.popularity, self.since, kind), 9, CUT - dt.timedelta(days=7), kind
        )
        self.folder.mkdir()
        known.save(self.folder)

    def lists(self, lists: Lists, personal: bool = True) -> "DataFrame":
        columns = [self.ids(lists), self.nested(lists), [[1.0] * len(top) for top in lists.values()]]
        return self.table(contract.lists(self.kind), *columns, [personal] * len(lists))

    def pairs(self, schema: pa.Schema, pairs: Lists, *more: Any) -> "DataFrame":
        """A table of (user, source) whose other columns hold the given constants."""
        flat = [(user, source) for user, sources in pairs.items() for source in sources]
        columns = [self.ids([user for user, _ in flat]), self.ids([source for _, source in flat])]
        return self.table(schema, *columns, *([value] * len(flat) for value in more))

    def judged(
        self,
        arms: Mapping[str, Lists],
        truth: Lists,
        *,
        excluded: Lists | None = None,
        seen: Lists | None = None,
        k: int,
    ) -> "DataFrame":
        tables = (
            self.pairs(contract.holdout(self.kind), truth, 1.0),
            self.pairs(contract.interactions(self.kind), seen or {}, 1.0, EPOCH),
            self.pairs(contract.exclusions(self.kind), excluded or {}, "seen"),
        )
        evidence = JudgeInputs(
            users=gather_judged(*tables, 2),
            popular=Fallback(self.ids(self.popularity), np.arange(9, 0, -1).astype(np.float32)),
            known=lambda folder=str(self.folder): folder,  # type: ignore[misc]
            ids=self.kind,
        )
        return judge_users({arm: self.lists(lists) for arm, lists in arms.items()}, evidence, k, SETTINGS)

    def judgement(self, rows: "DataFrame", k: int, eligible: int = 9) -> Judgement:
        return judge(rows, k=k, eligible=eligible, settings=SETTINGS)

    def ids(self, numbers: Any) -> pa.Array:
        return ids_of(numbers, self.kind)

    def nested(self, lists: Lists) -> pa.Array:
        flat = self.ids([source for top in lists.values() for source in top])
        offsets = np.cumsum([0, *(len(top) for top in lists.values())]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), flat)

    def table(self, schema: pa.Schema, *columns: Any) -> "DataFrame":
        arrays = [
            pa.array(column, field.type) if isinstance(column, list) else column.cast(field.type)
            for column, field in zip(columns, schema, strict=True)
        ]
        return self.spark.createDataFrame(pa.Table.from_arrays(arrays, schema=schema))
