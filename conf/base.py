"""What all settings have in common: frozen, unknown keys refused, numbers as written, sizes as people write them."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_DAYS = 36_500
"""Days, a century, that a setting may reach back: a day that long before another one is still a date."""
MAX_COUNT = 10**12
"""More than there is of anything that is counted."""
MAX_RATIO = 1e6
"""A limit of a relative change that nothing reaches: as good as none."""

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Strict(BaseModel):
    """Base of every settings class: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Whole = Annotated[int, Field(strict=True)]
"""A whole number that is written as one; a truth value, a text or 3.0 is none."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number that is written as one, with or without a fraction."""
Flag = Annotated[bool, Field(strict=True)]
"""A truth value that is written as one."""
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]
"""A seed that every generator of random numbers takes."""


def parse_bytes(value: object) -> int:
    """Returns bytes of "4 GiB", "512MiB" or a plain number; raises ValueError on anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if found := re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB|TiB)", str(value).strip()):
        return int(float(found[1]) * _UNITS[found[2]])
    raise ValueError(f"{value!r} is not a size; write for example 512 MiB or 4 GiB")


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1, le=2**60)]
"""A size in bytes, written as "4 GiB" in YAML; at most 2^60, more than a million TiB."""


def format_bytes(size: float) -> str:
    """Returns a size for people, e.g. 1.5 GiB."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size:g} B"
