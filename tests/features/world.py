"""Small literal worlds for the tests of features."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from conf.datasets import EventDataset
from conf.settings import Settings

AS_OF = dt.date(2026, 11, 16)
EVENT_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("source_id", pa.int64()),
        ("event", pa.string()),
        ("ts", pa.timestamp("us", "UTC")),
    ]
)
PAIR_SCHEMA = EVENT_SCHEMA.remove(3).remove(2)


def ago(days: int) -> dt.date:
    """The day so many days before AS_OF."""
    return AS_OF - dt.timedelta(days=days)


def at(day: dt.date, hour: int = 12) -> dt.datetime:
    """An hour of the day, UTC."""
    return dt.datetime.combine(day, dt.time(hour), dt.UTC)


def table(schema: pa.Schema, *rows: tuple[Any, ...]) -> pa.Table:
    """Rows as a table of the schema."""
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def events(day: dt.date, *rows: tuple[Any, Any, Any]) -> pa.Table:
    """(user, source, event) at noon of the day."""
    return table(EVENT_SCHEMA, *((*row, at(day)) for row in rows))


def days_of(per_day: Iterable[tuple[int, pa.Table]]) -> dict[dt.date, pa.Table]:
    """{days ago: table} → {day: table}."""
    return {ago(days): content for days, content in per_day}


def dataset(**changes: Any) -> EventDataset:
    """The dataset `clicks` over the last three days."""
    return EventDataset(**{"path": "clicks", "window": "3 days ago:today"} | changes)


def settings(**datasets: Any) -> Settings:
    """A product with `clicks` over three days, a hold-out of one, and the given further datasets or changes."""
    tree: dict[str, Any] = {
        "product": "test",
        "datasets": {"events": {"clicks": {"path": "clicks", "window": "3 days ago:today"}}, **datasets},
        "interactions": {"event_weights": {"like": 1.0, "leave": -4.0}, "half_life_days": 1.0},
        "split": {"holdout_days": 1},
    }
    return Settings.model_validate(tree)
