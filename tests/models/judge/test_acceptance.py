"""The rule by which a challenger replaces the champion: shown to be as good, and better than popularity."""

from hypothesis import given
from hypothesis import strategies as st

from models.judge import CHAMPION, OURS, POPULARITY, Estimate, FigureKey, Judgement, Spread, accept

SMALL = st.floats(-0.5, 0.5)
LEADS = st.tuples(SMALL, SMALL, SMALL).map(sorted).map(lambda three: Estimate(100, three[1], three[0], three[2]))


def judgement(champion: float, over_champion: Estimate, over_popularity: Estimate) -> Judgement:
    """What the rule looks at."""
    figures = {FigureKey(CHAMPION, "all", "ndcg"): Estimate(100, champion, champion, champion)}
    leads = {
        FigureKey(CHAMPION, "all", "ndcg"): over_champion,
        FigureKey(POPULARITY, "all", "ndcg"): over_popularity,
    }
    return Judgement(20, 200, figures, leads, dict.fromkeys((OURS, POPULARITY, CHAMPION), Spread(1, 0)), {})


@given(champion=st.floats(0, 1), over_champion=LEADS, over_popularity=LEADS, tolerance=st.floats(0, 0.9))
def test_the_lower_ends_of_both_intervals_decide(
    champion: float, over_champion: Estimate, over_popularity: Estimate, tolerance: float
) -> None:
    decision = accept(judgement(champion, over_champion, over_popularity), tolerance)
    assert (decision.winner == "challenger") == (over_champion.low >= -tolerance * champion and over_popularity.low > 0)
    for figure in (over_champion.mean, over_popularity.low, champion):
        assert f"{figure:.4f}" in decision.reason
    assert (decision.winner == "challenger") != ("not shown" in decision.reason)


def test_a_lead_that_is_not_sure_is_none() -> None:
    unsure, sure = Estimate(100, 0.05, -0.01, 0.11), Estimate(100, 0.05, 0.03, 0.07)
    assert accept(judgement(0.2, unsure, sure), 0.02).winner == "champion"
    assert accept(judgement(0.2, unsure, sure), 0.1).winner == "challenger"
    assert accept(judgement(0.2, sure, unsure), 0.02).winner == "champion"
