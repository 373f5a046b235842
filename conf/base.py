"""Common types of all settings: frozen models that refuse unknown keys, strict numbers, sizes such as "4 GiB"."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_DAYS = 36_500
"""Most days (a century) that a setting may reach back, so that every computed day is a valid date."""
MAX_COUNT = 10**12
"""Upper bound of every setting that counts something; larger than any real count."""
MAX_RATIO = 1e6
"""Upper bound of limits on relative changes; as good as no limit."""

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Strict(BaseModel):
    """Base of every settings class: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Whole = Annotated[int, Field(strict=True)]
"""An integer written as one; a boolean, a text or 3.0 is refused."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number written as one, with or without a fraction."""
Flag = Annotated[bool, Field(strict=True)]
"""A boolean written as one."""
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
"""A seed that every random number generator accepts."""


def parse_bytes(value: object) -> int:
    """Returns the bytes of "4 GiB", "512MiB" or a plain number; raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if found := re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB|TiB)", str(value).strip()):
        return int(float(found[1]) * _UNITS[found[2]])
    raise ValueError(f"{value!r} is not a size; write for example 512 MiB or 4 GiB")


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1, le=2**60)]
"""A size in bytes, written as "4 GiB" in YAML; at most 2^60, more than a million TiB."""


def format_bytes(size: float) -> str:
    """Returns a size in bytes as readable text, e.g. 1.5 GiB."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size:g} B"
