"""Answers and events as rows again, with what counts for what: for sums by user, which Spark makes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_type

from conf.outcomes import OutcomeSettings
from models.arrays.arrow import Column, column_of
from models.outcomes.basis import Basis
from models.outcomes.buckets import by_bucket
from models.outcomes.columns import NONE, Answers, Bucket, Events, Ints, bucket_of
from models.outcomes.credit import credit
from models.outcomes.rows import ANSWERED, EVENT


def credited(
    answers: DataFrame,
    events: DataFrame,
    basis: Basis,
    days: Sequence[int],
    settings: OutcomeSettings,
    buckets: int = 8,
) -> DataFrame:
    """Returns answers of one basis on these days, and events with an owner or a holder on them.

    user_id, role (ANSWERED, EVENT), day; robot: on that day, which counts for nothing; of an event source_id, event,
    amount, engages, owner and holder (the day of that answer; null: none), hit and new (`credit.Credit`).
    """
    ids = [to_arrow_type(events.schema[name].dataType) for name in ("user_id", "source_id")]
    schema = _schema(*ids)

    def work(tables: Mapping[str, pa.Table]) -> pa.Table:
        return _rows(bucket_of(tables, [basis.value], settings, None), basis.value, days, settings, schema)

    return by_bucket({ANSWERED: answers, EVENT: events}, buckets, work, schema)


def _schema(user: pa.DataType, source: pa.DataType) -> pa.Schema:
    columns: list[tuple[str, pa.DataType]] = [("user_id", user), ("role", pa.string()), ("day", pa.int32())]
    columns += [("robot", pa.bool_()), ("source_id", source), ("event", pa.string()), ("amount", pa.float64())]
    columns += [("engages", pa.bool_()), ("owner", pa.int32()), ("holder", pa.int32()), ("hit", pa.bool_())]
    return pa.schema([*columns, ("new", pa.bool_())])


def _rows(bucket: Bucket, basis: str, days: Sequence[int], settings: OutcomeSettings, schema: pa.Schema) -> pa.Table:
    answers, events = bucket.answers[basis], bucket.events
    found = credit(answers, events, settings)
    owner, holder = (_days_of(answers, which) for which in (found.owner, found.holder))
    chosen = np.flatnonzero(np.isin(owner, days) | np.isin(holder, days))
    about: dict[str, Column] = {"owner": _or_null(owner[chosen]), "holder": _or_null(holder[chosen])}
    about |= {"hit": column_of(found.hit[chosen]), "new": column_of(found.new[chosen])}
    robots, done = bucket.robot_answers[basis], bucket.robot_events
    is_asked = [np.flatnonzero(np.isin(some.day, days)) for some in (answers, robots, done)]
    parts = [
        {**_events(bucket, events, chosen, robot=False), **about},
        _events(bucket, done, is_asked[2], robot=True),
        _answers(bucket, answers, is_asked[0], robot=False),
        _answers(bucket, robots, is_asked[1], robot=True),
    ]
    tables = [pa.table(part).cast(pa.schema([schema.field(name) for name in part])) for part in parts]
    return pa.concat_tables([schema.empty_table(), *tables], promote_options="default").select(schema.names)


def _days_of(answers: Answers, which: Ints) -> Ints:
    """Returns the days of answers; NONE where there is none."""
    return np.append(answers.day, NONE)[which]


def _or_null(days: Ints) -> Column:
    column: Column = pa.array(days, mask=days == NONE)
    return column


def _events(bucket: Bucket, events: Events, places: Ints, *, robot: bool) -> dict[str, Column]:
    some = events.take(places)
    names: Column = pa.array(some.event.values, pa.string())
    return {
        **_shared(bucket, some.user, some.day, EVENT, robot=robot),
        "source_id": bucket.sources.take(column_of(some.source)),
        "event": names.take(column_of(some.event.code)),
        "amount": pa.array(some.amount, from_pandas=True),
        "engages": column_of(some.engages),
    }


def _answers(bucket: Bucket, answers: Answers, places: Ints, *, robot: bool) -> dict[str, Column]:
    return _shared(bucket, answers.user[places], answers.day[places], ANSWERED, robot=robot)


def _shared(bucket: Bucket, user: Ints, day: Ints, role: str, *, robot: bool) -> dict[str, Column]:
    return {
        "user_id": bucket.users.take(column_of(user)),
        "role": pa.array([role] * len(user), pa.string()),
        "day": column_of(day),
        "robot": column_of(np.full(len(user), robot)),
    }
