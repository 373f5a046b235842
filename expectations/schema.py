"""Describes the schema of a Spark frame in a profile, so that it can be compared with the contract."""

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from expectations.checks import describe
from expectations.errors import MeasureError


def columns_of(df: DataFrame, required: Sequence[str]) -> tuple[str, ...]:
    """Returns name and Arrow type of each column of `df`; raises MeasureError if a required one is missing."""
    if missing := [name for name in required if name not in df.columns]:
        raise MeasureError(
            f"column {', '.join(missing)} missing; the table has {', '.join(df.columns)}; "
            f"write it with the schema of conf/contract.py"
        )
    schema: pa.Schema = to_arrow_schema(df.schema, timezone="UTC")
    return describe(schema)
