"""Contract tables in Spark: schemas, exact column names, conforming frames."""

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType


def quoted(column: str) -> Column:
    """Returns the Spark column of exactly this name, even if it has dots."""
    return sf.col("`" + column.replace("`", "``") + "`")


def spark_schema(schema: pa.Schema) -> StructType:
    """Returns the Spark schema of a contract table, all columns nullable."""
    return StructType([StructField(field.name, from_arrow_type(field.type)) for field in schema])


def union_of(frames: Sequence[DataFrame]) -> DataFrame:
    """Returns the rows of all frames, of which there is at least one; their columns are matched by name."""
    return reduce(DataFrame.unionByName, frames)


def conform(frame: DataFrame, schema: pa.Schema) -> DataFrame:
    """Returns exactly the columns of the contract, in its order and types; a missing column raises in Spark."""
    return frame.select(*(frame[field.name].cast(field.dataType).alias(field.name) for field in spark_schema(schema)))
