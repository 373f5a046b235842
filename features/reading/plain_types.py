"""Column types without their encoding, to compare files that were written in different ways."""

import pyarrow as pa
from pyarrow import types as t


def plain(type_: pa.DataType) -> pa.DataType:
    """Returns the type without its encoding: of a dictionary its value type, of every string type string."""
    if t.is_dictionary(type_):
        return plain(type_.value_type)
    return pa.string() if t.is_large_string(type_) or t.is_string_view(type_) else type_


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Returns the schema with plain types and without metadata."""
    return pa.schema([pa.field(field.name, plain(field.type)) for field in schema])
