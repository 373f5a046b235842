"""What all settings have in common: frozen, unknown keys refused, sizes written as people write them."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Strict(BaseModel):
    """Base of every settings class: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def parse_bytes(value: object) -> int:
    """Bytes of "4 GiB", "512MiB" or a plain number; raises ValueError on anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)", str(value).strip()):
        return int(float(found[1]) * _UNITS[found[2]])
    raise ValueError(f"{value!r} is not a size; write for example 512 MiB or 4 GiB")


Bytes = Annotated[int, BeforeValidator(parse_bytes)]
"""A size in bytes, written as "4 GiB" in YAML."""


def format_bytes(size: float) -> str:
    """A size for people, e.g. 1.5 GiB."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size:g} B"
