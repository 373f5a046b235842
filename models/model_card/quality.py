"""What the page says of a judgement: every figure of every arm and segment, with its interval."""

from collections.abc import Iterator, Sequence

from models.judge import ALL, CHAMPION, ITEM_KNN, NEW, OURS, POPULARITY, Estimate, FigureKey, Judgement
from models.judge.judgement import LIST_TRAITS, METRICS, SEGMENTS
from models.judge.users import COLD, HEAVY, LIGHT
from models.model_card.card import ModelCard
from models.model_card.page import MISSING, Block, Plot, Section, Table, Text, count, interval
from models.model_card.plots import draw_segments

_ARMS = (OURS, POPULARITY, ITEM_KNN, CHAMPION)
_TITLES = {"ndcg": "NDCG", "recall": "Recall", "map": "MAP"}


def quality_sections(card: ModelCard) -> list[Section]:
    """Returns how good the lists of all arms are: for everybody, then by segment."""
    judged = card.judgement
    if isinstance(judged, str):
        return [Section("Quality", [Text(f"Not judged: {judged}.")])]
    head = (
        f"Lists cut at {judged.k} of {judged.users():,} users, judged as they would have been published; means with "
        f"95 % intervals of {judged.replicates} bootstrap replicates. The arm {OURS} is this run's own recipe"
    )
    head += f"; this version is made by that of the arm {card.arm}." if card.arm != OURS else "."
    all_users: list[Block] = [
        Text(head),
        Table(("arm", *_metrics(judged)), [_row([arm], judged, arm, ALL) for arm in judged.arms]),
        *map(Text, _absent(judged)),
        Text(f"Differences, {OURS} − arm, paired by user:"),
        Table(("against", *_metrics(judged)), [_lead([arm], judged, arm, ALL) for arm in judged.arms[1:]]),
        Text(
            "The lists themselves: mean bits of a source (novelty); shares of users with a list of their own (covered) "
            "and of the fallback list; share of the eligible sources in any list (coverage); how unevenly their places "
            "are shared (Gini)."
        ),
        Table(
            ("arm", *LIST_TRAITS, "coverage", "Gini"),
            [
                (*_traits([arm], judged, arm, ALL), f"{spread.coverage:.4f}", f"{spread.gini:.4f}")
                for arm, spread in judged.spreads.items()
            ],
        ),
    ]
    return [Section("Quality", all_users), _segments(judged, card)]


def _segments(judged: Judgement, card: ModelCard) -> Section:
    rules = card.rules
    here = [segment for segment in SEGMENTS if segment == ALL or judged.users(segment)]
    cells = [(segment, arm) for segment in here if segment != ALL for arm in judged.arms]
    leads = [(segment, arm) for segment, arm in cells if arm != OURS]
    caption = (
        f"By interactions before the cut: {COLD} none, {LIGHT} fewer than {rules.heavy_from}, {HEAVY} at least so many."
        f" {NEW.capitalize()}: users whose truth holds sources of at most {rules.new_source_days} days, judged on "
        "these only."
    )
    nobody = [segment for segment in SEGMENTS if segment not in here]
    shows = f"NDCG@{judged.k} of each arm by segment, with 95 % intervals"
    return Section(
        "By segment",
        [
            Text(caption),
            *([Text(f"Without users, and so without figures: {', '.join(nobody)}.")] if nobody else []),
            Plot("segments", shows, lambda canvas: draw_segments(canvas, judged, here), (9, 3.8)),
            Table(
                ("segment", "arm", "users", *_metrics(judged)),
                [_row([segment, arm, _users(judged, arm, segment)], judged, arm, segment) for segment, arm in cells],
                2,
            ),
            Text(f"Differences, {OURS} − arm, paired by user:"),
            Table(
                ("segment", "against", *_metrics(judged)),
                [_lead([segment, arm], judged, arm, segment) for segment, arm in leads],
                2,
            ),
            Text("The lists of each segment:"),
            Table(
                ("segment", "arm", *LIST_TRAITS),
                [_traits([segment, arm], judged, arm, segment) for segment, arm in cells if segment != NEW],
                2,
            ),
        ],
    )


def _absent(judged: Judgement) -> Iterator[str]:
    """Yields what is to be said of arms, and which are not there."""
    for arm, remark in judged.remarks.items():
        yield f"{arm}: {remark}."
    for arm in _ARMS:
        if arm not in judged.arms and arm not in judged.remarks:
            yield f"{arm}: not judged here."


def _metrics(judged: Judgement) -> list[str]:
    return [f"{_TITLES[metric]}@{judged.k}" for metric in METRICS]


def _row(names: Sequence[str], judged: Judgement, arm: str, segment: str) -> tuple[str, ...]:
    return (*names, *(_cell(judged.figures.get(FigureKey(arm, segment, metric))) for metric in METRICS))


def _lead(names: Sequence[str], judged: Judgement, arm: str, segment: str) -> tuple[str, ...]:
    return (*names, *(_cell(judged.leads.get(FigureKey(arm, segment, metric)), "+") for metric in METRICS))


def _traits(names: Sequence[str], judged: Judgement, arm: str, segment: str) -> tuple[str, ...]:
    return (*names, *(_cell(judged.figures.get(FigureKey(arm, segment, trait))) for trait in LIST_TRAITS))


def _users(judged: Judgement, arm: str, segment: str) -> str:
    known = judged.figures.get(FigureKey(arm, segment, "ndcg"))
    return count(known.users) if known else MISSING


def _cell(estimate: Estimate | None, sign: str = "") -> str:
    return MISSING if estimate is None else interval(estimate.mean, estimate.low, estimate.high, sign)
