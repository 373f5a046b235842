"""Decides when a user's walk is over.

By Cauchy–Schwarz a score is at most |user| · |source|. Sources descend by norm, so a user whose bar is above |user| ·
(norm of the next source) is finished. The factor and the addend below are larger than the effect of rounding the norms
(float64) and the score (float32). A user whose bar is only equal goes on: an equal score with a smaller row still
belongs to the list.
"""

import numpy as np
from numpy.typing import NDArray

from models.ranking.compiled import compiled
from models.ranking.lists import Keys, score_of

_INFLATED = 1 + 1e-6
_TINY = 2.0**-126


@compiled
def drop_finished(
    active: NDArray[np.int64], count: int, norms: NDArray[np.float64], longest: float, least: Keys
) -> int:
    """Moves those of the first `count` active users to the front who may still find a source. Returns their number."""
    kept = 0
    for at in range(count):
        user = active[at]
        if norms[user] * (longest * _INFLATED) + _TINY >= score_of(least[user]):
            active[kept] = user
            kept += 1
    return kept
