"""Checks ids as Spark columns: none may be null, and strings must satisfy `conf.ids.is_id`."""

from pyspark.sql import Column
from pyspark.sql import functions as sf

from conf.ids import MAX_ID_BYTES, IdKind

_TEXTS = {
    "null": "without {}",
    "empty": "with an empty {}",
    "not_utf8": "with a {} that is not UTF-8",
    "nul_in": "with a NUL character in {}",
    "long": f"with a {{}} of more than {MAX_ID_BYTES} bytes",
}
ID_FAULTS = {
    f"{fault}_{column}": text.format(column)
    for column in ("user_id", "source_id", "owner_id")
    for fault, text in _TEXTS.items()
}
"""Faults of ids, e.g. null_user_id, and how messages describe such rows."""


def id_faults(column: str, ids: IdKind) -> dict[str, Column]:
    """Returns fault → condition on an id column; a row may have several faults."""
    value = sf.col(column)
    broken = {"null": value.isNull()}
    if ids == "string":
        size = sf.octet_length(value)
        broken |= {"empty": size == 0, "not_utf8": ~sf.is_valid_utf8(value)}
        broken |= {"nul_in": sf.contains(value, sf.lit("\0")), "long": size > MAX_ID_BYTES}
    return {f"{fault}_{column}": condition for fault, condition in broken.items()}
