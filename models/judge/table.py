"""A judgement as text: which arm is better, by how much, and how certain that is."""

from collections.abc import Iterable, Iterator

from conf.contract import METRICS
from conf.settings import JudgeSettings
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
    return "\n".join([head, *_arms(judgement), *_segments(judgement, titles), *_remarks(judgement)])


def title_of(metric: str, k: int) -> str:
    """Returns the heading of a metric's column: its name, where it has no other."""
    return _TITLES.get(metric, metric).format(k)


def _arms(judgement: Judgement) -> Iterator[str]:
    """Yields one line per arm, then one per difference."""
    titles = [title_of(metric, judgement.k) for metric in METRICS]
    yield _line("", titles, 21) + _traits("novelty", "cover", "Gini", "fallb")
    for arm in judgement.arms:
        cells = [_cell(judgement.figures.get(FigureKey(arm, ALL, metric))) for metric in METRICS]
        novelty, fallback = (judgement.figures.get(FigureKey(arm, ALL, trait)) for trait in ("novelty", "fallback"))
        found = judgement.spreads[arm]
        yield _line(arm, cells, 21) + _traits(
            f"{novelty.mean:.2f}" if novelty else _MISSING,
            f"{found.coverage:.2f}",
            f"{found.gini:.2f}",
            f"{fallback.mean:.2f}" if fallback else _MISSING,
        )
    for arm in judgement.arms[1:]:
        cells = [_cell(judgement.leads.get(FigureKey(arm, ALL, metric)), "+") for metric in METRICS]
        yield _line(f"− {arm}", cells, 21)


def _segments(judgement: Judgement, titles: dict[str, str]) -> Iterator[str]:
    """Yields one line per segment: its users and each arm's NDCG."""
    yield _line(title_of("ndcg", judgement.k), judgement.arms, 19) + f"{'users':>11}"
    for segment in SEGMENTS:
        cells = [_cell(judgement.figures.get(FigureKey(arm, segment, "ndcg"))) for arm in judgement.arms]
        yield _line(titles[segment], cells, 19) + f"{judgement.users(segment):>11,}"


def _remarks(judgement: Judgement) -> Iterator[str]:
    return (f"{arm}: {remark}" for arm, remark in judgement.remarks.items())


def _line(name: str, cells: Iterable[str], width: int) -> str:
    return f"{name:<13}" + "".join(f"{cell:<{width}}" for cell in cells)


def _traits(*cells: str) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, (7, 6, 5, 6), strict=True))


def _cell(estimate: Estimate | None, sign: str = "") -> str:
    """Returns `.1234 .1200–.1260`: the mean, with a sign if wanted, and the interval."""
    if estimate is None:
        return _MISSING
    return f"{_short(estimate.mean, sign)} {_short(estimate.low)}–{_short(estimate.high)}"


def _short(value: float, sign: str = "") -> str:
    """Returns four digits without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1) if abs(value) < 0.99995 else f"{value:{sign}.3f}"
