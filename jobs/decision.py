"""Which recipe a run refits and serves."""

from jobs.champion import Contest
from jobs.lineage_record import Decision
from models.judge import CHAMPION, Judgement, accept


def decide(contest: Contest, judgement: Judgement | str, tolerance: float) -> Decision:
    """Who wins; judgement: the figures, or why there are none. Without proof the champion's recipe stays."""
    if contest.champion is None:
        return Decision(winner="challenger", reason=contest.reason)
    if isinstance(judgement, str):
        return Decision(winner="champion", reason=f"the recipes could not be judged: {judgement}")
    if CHAMPION not in judgement.arms:
        return Decision(winner="challenger", reason=f"the champion's recipe is {judgement.remarks[CHAMPION]}")
    verdict = accept(judgement, tolerance)
    return Decision(winner="challenger" if verdict.accepted else "champion", reason=verdict.reason)
