"""The share of the audience that a run serves, in whole basis points."""

import math
from dataclasses import dataclass

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

    def __str__(self) -> str:
        return f"{self.bp / 100:g} %"
