"""The rule by which a challenger replaces the champion."""

from dataclasses import dataclass

from models.judge.bootstrap import ALL
from models.judge.judgement import Figure, Judgement
from models.judge.users import CHAMPION, POPULARITY


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger may serve, and the figures that say so."""

    accepted: bool
    reason: str


def accept(judgement: Judgement, tolerance: float) -> Verdict:
    """The verdict on ours as challenger of the arm `champion`: by proof, not by a lucky week.

    At the lower end of their paired intervals, its NDCG must not be below 1 − tolerance of the champion's, and must be
    above that of popularity.
    """
    champion = judgement.figures[Figure(CHAMPION, ALL, "ndcg")]
    lead, over_popularity = (judgement.leads[Figure(arm, ALL, "ndcg")] for arm in (CHAMPION, POPULARITY))
    allowed = -tolerance * champion.mean
    faults = {
        "is not shown to be as good as the champion": lead.low < allowed,
        "is not shown to be better than popularity": over_popularity.low <= 0,
    }
    said = [fault for fault, found in faults.items() if found]
    figures = (
        f"NDCG@{judgement.k} {lead.mean:+.4f} ({lead.low:+.4f} to {lead.high:+.4f}) against the champion's "
        f"{champion.mean:.4f}, where {allowed:+.4f} is allowed; {over_popularity.mean:+.4f} "
        f"({over_popularity.low:+.4f} to {over_popularity.high:+.4f}) against popularity"
    )
    word = " and ".join(said) or "is not worse than the champion, and better than popularity"
    return Verdict(accepted=not said, reason=f"the challenger {word}: {figures}")
