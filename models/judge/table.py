"""A judgement as text: which arm is better, by how much, and how certain that is."""

from collections.abc import Iterator

from conf.contract import METRICS
from conf.settings import JudgeSettings
from conf.text_table import table
from models.judge.bootstrap import ALL, CONFIDENCE, Estimate
from models.judge.judgement import NEW, SEGMENTS, FigureKey, Judgement
from models.judge.users import COLD, HEAVY, LIGHT

_TITLES = {"ndcg": "NDCG@{}", "recall": "Recall@{}", "map": "MAP@{}", "gini": "Gini"}
_MISSING = "–"


def table_of(judgement: Judgement, settings: JudgeSettings) -> str:
    """Returns lines of ≤ 100 characters, remarks aside: arms × metrics with intervals, segments × arms by NDCG."""
    head = (
        f"judged on {judgement.users():,} users, lists cut at {judgement.k}; means with {CONFIDENCE:.0%} intervals of "
        f"{judgement.replicates} replicates"
    )
    titles = {
        ALL: "all",
        COLD: "cold (0)",
        LIGHT: f"light (< {settings.heavy_from})",
        HEAVY: f"heavy (≥ {settings.heavy_from})",
        NEW: f"new, {settings.new_source_days} days",
    }
    return "\n".join([head, *_arms(judgement), _segments(judgement, titles), *_remarks(judgement)])


def title_of(metric: str, k: int) -> str:
    """Returns the heading of a metric's column: its name, where it has no other."""
    return _TITLES.get(metric, metric).format(k)


def _arms(judgement: Judgement) -> Iterator[str]:
    """Yields a table with a row per arm, then one with a row per difference."""
    rows = []
    for arm in judgement.arms:
        novelty, fallback = (judgement.figures.get(FigureKey(arm, ALL, trait)) for trait in ("novelty", "fallback"))
        found = judgement.spreads[arm]
        traits = (novelty and novelty.mean, found.coverage, found.gini, fallback and fallback.mean)
        cells = [_cell(judgement.figures.get(FigureKey(arm, ALL, metric))) for metric in METRICS]
        rows.append((arm, *cells, *(_MISSING if trait is None else f"{trait:.2f}" for trait in traits)))
    titles = [title_of(metric, judgement.k) for metric in METRICS]
    yield table(rows, ("", *titles, "novelty", "cover", "Gini", "fallb"))
    leads = {
        arm: [judgement.leads.get(FigureKey(arm, ALL, metric)) for metric in METRICS] for arm in judgement.arms[1:]
    }
    if leads:
        yield table([(f"− {arm}", *(_cell(lead, "+") for lead in found)) for arm, found in leads.items()])


def _segments(judgement: Judgement, titles: dict[str, str]) -> str:
    """Returns a row per segment: each arm's NDCG, and its users."""
    rows = []
    for segment in SEGMENTS:
        cells = [_cell(judgement.figures.get(FigureKey(arm, segment, "ndcg"))) for arm in judgement.arms]
        rows.append((titles[segment], *cells, f"{judgement.users(segment):,}"))
    return table(rows, (title_of("ndcg", judgement.k), *judgement.arms, "users"))


def _remarks(judgement: Judgement) -> Iterator[str]:
    return (f"{arm}: {remark}" for arm, remark in judgement.remarks.items())


def _cell(estimate: Estimate | None, sign: str = "") -> str:
    """Returns `.1234 .1200–.1260`: the mean, with a sign if wanted, and the interval."""
    if estimate is None:
        return _MISSING
    return f"{_short(estimate.mean, sign)} {_short(estimate.low)}–{_short(estimate.high)}"


def _short(value: float, sign: str = "") -> str:
    """Returns four digits without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1) if abs(value) < 0.99995 else f"{value:{sign}.3f}"
