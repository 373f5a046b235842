"""A judgement as text: which arm is better, by how much, and how certain that is."""

from collections.abc import Iterator

from conf.contract import LIST_TRAITS, METRICS
from conf.settings import JudgeSettings
from conf.text_table import table
from models.judge.bootstrap import ALL, CONFIDENCE, Estimate
from models.judge.judgement import NEW, SEGMENTS, FigureKey, Judgement
from models.judge.users import COLD, HEAVY, LIGHT

_TITLES = {**METRICS, "gini": "Gini"}
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
    return "\n".join([head, _arms(judgement), _traits(judgement), _segments(judgement, titles), *_remarks(judgement)])


def title_of(metric: str, k: int) -> str:
    """Returns the heading of a metric's column: its name, where it has no other."""
    return _TITLES.get(metric, metric).format(k)


def _arms(judgement: Judgement) -> str:
    """Returns a row per arm, then one per difference: the metrics."""
    rows = []
    for arm in judgement.arms:
        rows.append((arm, *(_cell(judgement.figures.get(FigureKey(arm, ALL, metric))) for metric in METRICS)))
    for arm in judgement.arms[1:]:
        leads = (judgement.leads.get(FigureKey(arm, ALL, metric)) for metric in METRICS)
        rows.append((f"− {arm}", *(_cell(lead, "+") for lead in leads)))
    return table(rows, ("", *(title_of(metric, judgement.k) for metric in METRICS)))


def _traits(judgement: Judgement) -> str:
    """Returns a row per property of the lists themselves: its mean in each arm, and how each arm's lists spread."""
    rows = []
    for trait in LIST_TRAITS:
        means = (judgement.figures.get(FigureKey(arm, ALL, trait)) for arm in judgement.arms)
        rows.append((trait, *(_MISSING if found is None else f"{found.mean:.2f}" for found in means)))
    for name in ("coverage", "gini"):
        spreads = (getattr(spread, name) for spread in judgement.spreads.values())
        rows.append((title_of(name, judgement.k), *(f"{value:.2f}" for value in spreads)))
    return table(rows, ("lists", *judgement.arms))


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
