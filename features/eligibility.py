"""Decides which sources may be recommended on a day."""

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType

from conf.windows import midnight

ACTIVE = "active"
"""The only `status` of an eligible source."""


def eligible_column(sources: DataFrame, as_of: dt.date) -> Column:
    """Returns whether a source is active and created before midnight UTC of `as_of`; null means no.

    A column that the dataset lacks is not required.
    """
    rules = [sf.lit(col=True)]
    if "status" in sources.columns:
        rules.append(sf.col("status").cast("string") == ACTIVE)
    if "created_at" in sources.columns:
        rules.append(_before(sources, "created_at", as_of))
    eligible = rules[0]
    for rule in rules[1:]:
        eligible = eligible & rule
    return sf.coalesce(eligible, sf.lit(col=False))


def _before(sources: DataFrame, column: str, day: dt.date) -> Column:
    """Returns whether a time is before midnight UTC of the day, in any session zone, or a date before the day."""
    if isinstance(sources.schema[column].dataType, DateType):
        return sf.col(column) < sf.lit(day)
    return sf.unix_micros(column) < int(midnight(day).timestamp()) * 1_000_000
