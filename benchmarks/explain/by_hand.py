"""A list that is filled source by source, by the definition of the rules: what explanations are compared with."""

import numpy as np
from numpy.typing import NDArray

from models.explain.absent import Limits, Traits
from models.explain.rules import Rule


def fill(
    ranking: NDArray[np.int64],
    scores: NDArray[np.float32],
    traits: Traits,
    reasons: dict[int, Rule],
    limits: Limits,
) -> tuple[list[int], list[tuple[int, Rule]]]:
    """Returns the list, and what is better than its last one and why it is out, one source after the other."""
    kept: list[int] = []
    dropped: list[tuple[int, Rule]] = []
    caps = {
        Rule.CATEGORY_CAP: (traits.categories, limits.per_category),
        Rule.OWNER_CAP: (traits.owners, limits.per_owner),
    }
    for row, score in zip(ranking.tolist(), scores.tolist(), strict=True):
        if len(kept) == limits.n or (limits.min_score is not None and score < limits.min_score):
            break
        first = reasons.get(row) or (None if traits.eligible[row] else Rule.INELIGIBLE)
        for rule, (codes, cap) in caps.items():
            same = sum(codes[row] == codes[one] for one in kept) if codes[row] >= 0 else 0
            if first is None and cap is not None and same >= cap:
                first = rule
        if first is None:
            kept.append(row)
        else:
            dropped.append((row, first))
    return kept, dropped
