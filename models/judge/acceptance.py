"""The rule by which a challenger replaces the champion."""

from models.champion import Contest
from models.judge.bootstrap import ALL
from models.judge.judgement import FigureKey, Judgement
from models.judge.users import CHAMPION, POPULARITY
from models.registry.lineage import Decision


def accept(judgement: Judgement, tolerance: float) -> Decision:
    """Decides whether ours replaces the arm `champion`: by proof, not by a lucky week.

    At the lower end of their paired intervals, its NDCG must not be below 1 − tolerance of the champion's, and must be
    above that of popularity.
    """
    champion = judgement.figures[FigureKey(CHAMPION, ALL, "ndcg")]
    lead, over_popularity = (judgement.leads[FigureKey(arm, ALL, "ndcg")] for arm in (CHAMPION, POPULARITY))
    allowed = -tolerance * champion.mean
    faults = {
        "is not shown to be as good as the champion": lead.low < allowed,
        "is not shown to be better than popularity": over_popularity.low <= 0,
    }
    failed = [fault for fault, found in faults.items() if found]
    figures = (
        f"NDCG@{judgement.k} {lead.mean:+.4f} ({lead.low:+.4f} to {lead.high:+.4f}) against the champion's "
        f"{champion.mean:.4f}, where {allowed:+.4f} is allowed; {over_popularity.mean:+.4f} "
        f"({over_popularity.low:+.4f} to {over_popularity.high:+.4f}) against popularity"
    )
    word = " and ".join(failed) or "is not worse than the champion, and better than popularity"
    return Decision(winner="champion" if failed else "challenger", reason=f"the challenger {word}: {figures}")


def decide(contest: Contest, judgement: Judgement | str, tolerance: float) -> Decision:
    """Returns which recipe wins; `judgement`: the figures, or why there are none. Without proof the champion stays."""
    if contest.champion is None:
        return Decision(winner="challenger", reason=contest.reason)
    if isinstance(judgement, str):
        return Decision(winner="champion", reason=f"the recipes could not be judged: {judgement}")
    if CHAMPION not in judgement.arms:
        return Decision(winner="challenger", reason=f"the champion's recipe is {judgement.remarks[CHAMPION]}")
    return accept(judgement, tolerance)
