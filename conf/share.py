"""The share of the audience that a run serves, in whole basis points.

Documents hold it as that number, a product's YAML as a `Fraction` from 0 to 1 or as a `Percent`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetPydanticSchema
from pydantic_core import CoreSchema, core_schema

from conf.errors import ConfigError


@dataclass(frozen=True, order=True)
class Share:
    """Share of the audience in basis points, 0 to 10,000."""

    bp: int

    def __post_init__(self) -> None:
        if not 0 <= self.bp <= 10_000:
            raise ConfigError(f"share {self.bp / 100:g} % is outside 0 … 100 % of the audience")

    @classmethod
    def fraction(cls, value: float) -> "Share":
        """Returns the share for a fraction 0 … 1; raises ConfigError if it is finer than a basis point (0.0001)."""
        if not math.isfinite(value):
            raise ConfigError(f"share {value} is not a number; give a fraction such as 0.25")
        bp = round(value * 10_000)
        if abs(value * 10_000 - bp) > 1e-6:
            raise ConfigError(
                f"share {value} is finer than a basis point; the nearest is {bp / 10_000:g} ({bp / 100:g} %)"
            )
        return cls(bp)

    @classmethod
    def percent(cls, value: float) -> "Share":
        """Returns the share for a percentage 0 … 100."""
        return cls.fraction(value / 100)

    @property
    def ratio(self) -> float:
        """The share as a number from 0 to 1."""
        return self.bp / 10_000

    def __int__(self) -> int:
        return self.bp

    def __str__(self) -> str:
        return f"{self.bp / 100:g} %"

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> CoreSchema:
        return _schema(core_schema.int_schema(ge=0, le=10_000), cls, int)


NOBODY, EVERYBODY = Share(0), Share(10_000)


def _schema(number: CoreSchema, parse: Callable[[Any], Share], write: Callable[[Share], float]) -> CoreSchema:
    """Returns how pydantic reads a share from a number, unless it is one already, and how it writes it."""

    def share(value: object, check: Callable[[object], Any]) -> Share:
        try:
            return value if isinstance(value, Share) else parse(check(value))
        except ConfigError as error:
            raise ValueError(str(error)) from None

    written = core_schema.plain_serializer_function_ser_schema(write)
    return core_schema.no_info_wrap_validator_function(share, number, serialization=written)


def _up_to(most: int, parse: Callable[[float], Share]) -> GetPydanticSchema:
    """Returns the same for a number from 0 to `most`, which stands for everybody."""
    number = core_schema.float_schema(ge=0, le=most, strict=True, allow_inf_nan=False)
    return GetPydanticSchema(lambda *_: _schema(number, parse, lambda share: share.bp / (10_000 // most)))


Fraction = Annotated[Share, _up_to(1, Share.fraction)]
"""A share that is written as a fraction of 1."""
Percent = Annotated[Share, _up_to(100, Share.percent)]
"""A share that is written as a percentage."""
