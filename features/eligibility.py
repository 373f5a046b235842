"""Which sources of the catalogue may be recommended on a day."""

import datetime as dt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import DateType

ACTIVE = "active"
"""The one `status` that makes a source eligible."""


def eligible_column(catalogue: DataFrame, as_of: dt.date) -> Column:
    """Active and created before midnight UTC of `as_of`, where the catalogue tells; a null there is not a yes."""
    rules = [sf.lit(col=True)]
    if "status" in catalogue.columns:
        rules.append(sf.col("status").cast("string") == ACTIVE)
    if "created_at" in catalogue.columns:
        rules.append(_before(catalogue, "created_at", as_of))
    eligible = rules[0]
    for rule in rules[1:]:
        eligible = eligible & rule
    return sf.coalesce(eligible, sf.lit(col=False))


def _before(catalogue: DataFrame, column: str, day: dt.date) -> Column:
    """Returns a time before midnight UTC of the day, whatever the session's zone, or a date before the day."""
    if isinstance(catalogue.schema[column].dataType, DateType):
        return sf.col(column) < sf.lit(day)
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    return sf.unix_micros(column) < int(midnight.timestamp()) * 1_000_000
