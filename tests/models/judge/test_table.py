"""The table for people: every number in its column, at most 100 characters wide."""

import itertools

from conf.settings import JudgeSettings
from models.judge import (
    ALL,
    CHAMPION,
    ITEM_KNN,
    NEW,
    OURS,
    POPULARITY,
    Estimate,
    FigureKey,
    Judgement,
    Spread,
    table_of,
)

ARMS = (OURS, POPULARITY, ITEM_KNN, CHAMPION)
MEANS = {"ndcg": 0.1234, "recall": 1.0, "map": 0.05, "novelty": 12.5, "covered": 0.9, "fallback": 1.0}


def judgement(*, segments: tuple[str, ...] = (ALL, "cold", "light", "heavy", NEW)) -> Judgement:
    """Four arms with the same figures; ours loses against all."""
    places = itertools.product(ARMS, segments, MEANS)
    figures = {FigureKey(*place): Estimate(1_234_567, MEANS[place[2]], 0.1, 0.2) for place in places}
    leads = {
        FigureKey(arm, ALL, metric): Estimate(9, -0.0213, -0.0312, -0.0118)
        for arm, metric in itertools.product(ARMS[1:], ("ndcg", "recall", "map"))
    }
    spreads = {arm: Spread(1.0, 0.75) for arm in ARMS}
    return Judgement(20, 200, figures, leads, spreads, {ITEM_KNN: "similarities of a sample"})


def test_every_number_stands_in_its_column() -> None:
    head, titles, *lines = table_of(judgement(), JudgeSettings()).splitlines()
    assert head == "judged on 1,234,567 users, lists cut at 20; means with 95% intervals of 200 replicates"
    assert titles.split() == ["NDCG@20", "Recall@20", "MAP@20"]
    numbers = [".1234", ".1000–.2000", "1.000", ".1000–.2000", ".0500", ".1000–.2000"]
    for arm, line in zip(ARMS, lines, strict=False):
        assert line.split() == [arm, *numbers]
    assert lines[4].split() == ["−", POPULARITY, *["-.0213", "-.0312–-.0118"] * 3]
    assert lines[7].split() == ["lists", *ARMS]
    traits = {"novelty": "12.50", "covered": "0.90", "fallback": "1.00", "coverage": "1.00", "Gini": "0.75"}
    assert [line.split() for line in lines[8:13]] == [[name, *[value] * 4] for name, value in traits.items()]
    assert lines[13].split() == ["NDCG@20", *ARMS, "users"]
    assert lines[14].split() == ["all", *[".1234", ".1000–.2000"] * 4, "1,234,567"]
    assert lines[-1] == "item_knn: similarities of a sample"
    assert max(map(len, [head, titles, *lines])) <= 100


def test_a_segment_without_users_is_shown_as_such() -> None:
    lines = table_of(judgement(segments=(ALL, "light")), JudgeSettings(heavy_from=5, new_source_days=3)).splitlines()
    assert [line.split()[-1] for line in lines[-6:-1]] == ["1,234,567", "0", "1,234,567", "0", "0"]
    assert [line[:13].rstrip() for line in lines[-4:-1]] == ["light (< 5)", "heavy (≥ 5)", "new, 3 days"]
