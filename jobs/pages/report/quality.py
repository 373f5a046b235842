"""How good a run's lists were judged to be: beside simple ones and the champion's, and over the weeks."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from conf.contract import METRICS
from jobs.pages.report.documents import Known, RunDocuments
from jobs.pages.report.drawings import Estimate, Line, weeks, whisker
from jobs.pages.report.words import estimate, number, within

_OURS = "ours"
_KNOWN = {
    _OURS: ("the run's own recipe", "ours"),
    "champion": ("the recipe that served", "champion"),
    "item_knn": ("item-kNN", "knn"),
    "popularity": ("popular sources", "popularity"),
}
"""Arm → what it is, and class of the page's styles; in the order of the page."""
_MOST_ARMS = 8


@dataclass(frozen=True)
class JudgedArm:
    """One arm's figures, and ours less its own."""

    name: str
    what: str
    tone: str
    figures: Sequence[Estimate | None]
    """By METRICS."""
    leads: Sequence[Estimate | None]
    remark: str
    drawn: Markup


@dataclass(frozen=True)
class Quality:
    """All that is known of how good the lists are."""

    k: str
    users: int | None
    arms: Sequence[JudgedArm]
    why_not: str | None
    """Why nothing was judged; None if it was."""
    decision: tuple[str, str] | None
    """Whose recipe won, and why."""
    golden: Sequence[tuple[str, str]]
    lines: Sequence[Line]
    drawn: Markup

    @property
    def titles(self) -> list[str]:
        """Headings of the metrics."""
        return [title.format(self.k) for title in METRICS.values()]

    @property
    def sentence(self) -> str:
        """What the figures say, in one sentence."""
        ours = self.ours
        if ours is None:
            return ""
        parts = [f"{self.titles[0]} {estimate(ours)}"]
        if within(ours):
            parts[0] += f" ({within(ours)})"
        for arm in self.arms:
            other = arm.figures[0]
            if arm.name == "popularity" and other is not None and other.mean > 0:
                parts.append(f"{ours.mean / other.mean:.2f} times that of popular sources")
            elif arm.name == "champion" and arm.leads[0] is not None:
                parts.append(f"{estimate(arm.leads[0], '+')} against the recipe that served")
        return ", ".join(parts)

    @property
    def ours(self) -> Estimate | None:
        """Our NDCG."""
        return next((arm.figures[0] for arm in self.arms if arm.name == _OURS), None)


def quality_of(run: RunDocuments) -> Quality:
    """Returns what the run's training measured, and the weeks before it."""
    judged = run.fact("train", "judged")
    most = max((one.most for name in _arms(judged) if (one := figure(judged, name)) is not None), default=0.0)
    lines = _lines(run)
    said = f"{METRICS['ndcg'].format('k')} over {len({day for line in lines for day in line.points})} weeks"
    winner = run.fact("train", "decision", "winner").text
    reason = run.fact("train", "decision", "reason").text or "no reason is kept"
    return Quality(
        k=number(judged.at("k").number) if judged.at("k").number is not None else "k",
        users=judged.at("users").count,
        arms=[_arm(judged, name, most) for name in _arms(judged)],
        why_not=_why_not(run, judged),
        decision=None if winner is None else (winner, reason),
        golden=_golden(run.fact("train", "golden")),
        lines=lines,
        drawn=weeks(lines, said),
    )


def figure(judged: Known, arm: str, metric: str = "ndcg") -> Estimate | None:
    """Returns a figure of everybody; "over_" before an arm: ours less it."""
    name = metric if arm == _OURS else f"{arm}.{metric}"
    mean, low, high = (judged.at(f"{name}{end}").number for end in ("", ".low", ".high"))
    return None if mean is None else Estimate(mean, low, high)


def _why_not(run: RunDocuments, judged: Known) -> str | None:
    if _arms(judged):
        return None
    if not run.manifest.at("stages", "train"):
        return "the run ended before its training was judged"
    return judged.at("skipped").text or "no figures are kept"


def _arms(judged: Known) -> list[str]:
    """Returns the arms that were judged or have a remark, ours first."""
    named = [name.removesuffix(end) for name, _ in judged.items() for end in (".ndcg", ".remark") if name.endswith(end)]
    others = [name for name in dict.fromkeys(named) if "." not in name and _is_arm(judged, name)]
    found = [_OURS, *others] if figure(judged, _OURS) is not None else []
    order = [*_KNOWN]
    return sorted(found, key=lambda name: order.index(name) if name in order else len(order))[:_MOST_ARMS]


def _is_arm(judged: Known, name: str) -> bool:
    """Returns whether it is an arm: segments of users have a number of users, which arms have not."""
    return not name.startswith("over_") and not judged.at(f"{name}.users")


def _arm(judged: Known, name: str, most: float) -> JudgedArm:
    what, tone = _KNOWN.get(name, (name, "popularity"))
    figures = [figure(judged, name, metric) for metric in METRICS]
    leads = [None if name == _OURS else figure(judged, f"over_{name}", metric) for metric in METRICS]
    drawn = Markup("")
    if figures[0] is not None:
        said = f"NDCG of {what}: {estimate(figures[0])}" + (f" ({within(figures[0])})" if within(figures[0]) else "")
        drawn = whisker(figures[0], most, said, tone)
    return JudgedArm(name, what, tone, figures, leads, judged.at(f"{name}.remark").text or "", drawn)


def _golden(golden: Known) -> list[tuple[str, str]]:
    """Returns what the recipe makes of frozen data: it moves only if code, libraries or training settings do."""
    found = []
    for title, name in (("this recipe", ""), ("popular sources", "popularity_")):
        ndcg, recall = (golden.at(f"{name}{metric}").number for metric in ("ndcg", "recall"))
        if ndcg is not None and recall is not None:
            found.append((title, f"NDCG {ndcg:.4f}, recall {recall:.4f}"))
    return found


def _lines(run: RunDocuments) -> list[Line]:
    """Returns the versions of the weeks before and this one; of one day the last."""
    ndcg, popularity, golden = dict[dt.date, Estimate](), dict[dt.date, Estimate](), dict[dt.date, Estimate]()
    for week in run.card.at("weeks").each():
        day = week.at("as_of").day
        if day is None:
            continue
        for name, into in (("ndcg", ndcg), ("popularity", popularity), ("golden", golden)):
            value = week.at(name).number
            if value is not None:
                ends = [week.at(end).number for end in ("low", "high")] if name == "ndcg" else [None, None]
                into[day] = Estimate(value, *ends)
    lines = [
        Line("this product's lists", "ours", ndcg),
        Line("popular sources", "popularity", popularity),
        Line("golden data", "golden", golden),
    ]
    return [line for line in lines if line.points]
