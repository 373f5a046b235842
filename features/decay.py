"""What an event weighs, by its name and age; needs no Spark."""

import math


def factor_of(event_weight: float, age_days: int, half_life_days: float) -> float:
    """Returns event_weight · 2^(−age_days / half_life_days)."""
    return event_weight * math.exp2(-age_days / half_life_days)
