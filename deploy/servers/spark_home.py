"""Where Spark, its jars and its Ivy are: pyspark ships them."""

from importlib.util import find_spec
from pathlib import Path


def spark_home() -> Path | None:
    """Returns the folder of pyspark, without importing it; None where it is not installed."""
    spec = find_spec("pyspark")
    return next((Path(folder) for folder in (spec.submodule_search_locations or [])), None) if spec else None
