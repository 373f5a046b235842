"""The tables of a model card with a row for each of several things; `model_card.j2` says what stands around them."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.judge import ALL, OURS, FigureKey, Judgement
from models.judge.judgement import SEGMENTS
from models.judge.table import title_of
from models.model_card.card import SCORES, SHAPES, SOURCE_NORMS, USER_NORMS, ChampionPage, ModelCard, Week
from models.model_card.shape import PERCENTS, Shape
from models.pages import MISSING, Table, count, interval, share
from models.registry.lineage import Input, Lineage

_SHAPE_TITLES = {
    SCORES: "scores of the judged lists",
    USER_NORMS: "norms of user factors",
    SOURCE_NORMS: "norms of source factors",
}


def segments(judged: Judgement, *, empty: bool = False) -> list[str]:
    """Returns the segments of users that have some, or those that have none."""
    return [segment for segment in SEGMENTS if segment != ALL and empty is not bool(judged.users(segment))]


def figures(judged: Judgement, by: Sequence[str], names: Sequence[str]) -> Table:
    """Returns a row for each arm, `by` segment or for everybody, where there is a figure; a column for each of names.

    by: the titles of the first columns; "against" an arm are differences, ours − the arm.
    """
    leads = by[-1] == "against"
    cells = [(segment, arm) for segment in (segments(judged) if len(by) > 1 else [ALL]) for arm in judged.arms]
    rows = [
        (*(segment, arm)[-len(by) :], *(_figure(judged, FigureKey(arm, segment, name), leads=leads) for name in names))
        for segment, arm in cells
        if not (leads and arm == OURS)
    ]
    header = (*by, *(title_of(name, judged.k) for name in names))
    return Table(header, [row for row in rows if {*row[len(by) :]} != {MISSING}], len(by))


def _figure(judged: Judgement, key: FigureKey, *, leads: bool) -> str:
    found, spread = (judged.leads if leads else judged.figures).get(key), judged.spreads[key.arm]
    match key.metric:
        case "users":
            known = judged.figures.get(key._replace(metric="ndcg"))
            return count(known.users if known else None)
        case "coverage" | "gini" as name:
            return share(getattr(spread, name))
    return MISSING if found is None else interval(found.mean, found.low, found.high, "+" if leads else "")


def ndcg(week: Week) -> str:
    """Returns the NDCG of a week and its interval."""
    return interval(week.ndcg, week.low, week.high)


def weeks(card: ModelCard) -> Table:
    """Returns the versions registered last, and this one."""
    header = ("as of", "version", "run", "users", "interactions", "k", "NDCG", "popularity", "golden NDCG")
    rows = [
        (
            *(week.as_of, week.version or MISSING, week.run_id, count(week.users), count(week.interactions)),
            *(count(week.k), ndcg(week), share(week.popularity), share(week.golden)),
        )
        for week in card.weeks
    ]
    return Table(header, rows, 3)


def lacking(card: ModelCard) -> dict[str, list[str]]:
    """Returns what some weeks have no figures of → their names."""
    versions = {f"version {week.version}" if week.version else "this version": week for week in card.weeks}
    return {
        "Not judged": [name for name, week in versions.items() if week.ndcg is None],
        "Without golden metrics on these data": [name for name, week in versions.items() if week.golden is None],
    }


def golden(card: ModelCard) -> Table:
    """Returns what the training settings make of frozen data, beside the champion's and popularity."""
    ours, theirs = card.golden, card.champion.golden if isinstance(card.champion, ChampionPage) else None
    data = f"{ours.name} {ours.version}"
    rows = [("this version", data, share(ours.ndcg), share(ours.recall))]
    if theirs is not None:
        rows.append(("champion", f"{theirs.name} {theirs.version}", share(theirs.ndcg), share(theirs.recall)))
    rows.append(("popularity", data, share(ours.popularity_ndcg), share(ours.popularity_recall)))
    return Table(("", "data set", f"NDCG@{ours.k}", f"Recall@{ours.k}"), rows, 2)


def curve(card: ModelCard) -> Table:
    """Returns what was measured after each iteration of the judged training."""
    points = () if isinstance(card.curve, str) else card.curve
    rows = [(str(point.iteration), f"{point.seconds:.2f}", share(point.ndcg)) for point in points]
    return Table(("iteration", "seconds", "NDCG"), rows, numbers=0)


def shape_pairs(card: ModelCard) -> dict[str, tuple[Shape | None, Shape | None]]:
    """Returns title → how scores or norms are spread, and how the champion's are."""
    theirs: Mapping[str, Shape] = {} if isinstance(card.champion, str) else card.champion.shapes
    return {_SHAPE_TITLES[name]: (card.shapes.get(name), theirs.get(name)) for name in SHAPES}


def shapes(card: ModelCard) -> Table:
    """Returns the quantiles of scores and norms, beside the champion's."""
    rows = [
        (title, whose, count(shape.count), *(f"{value:.4g}" for value in shape.quantiles))
        for title, pair in shape_pairs(card).items()
        for whose, shape in zip(("this version", "champion"), pair, strict=True)
        if shape is not None
    ]
    return Table(("", "", "numbers", *(f"{percent} %" for percent in PERCENTS)), rows, 2)


def inputs(made: Lineage) -> Table:
    """Returns the datasets that were read."""
    rows = [
        (one.name, f"{one.start}:{one.end}", one.digest, one.uri, count(len(one.days)), count(_rows(one)))
        for one in made.inputs
    ]
    return Table(("dataset", "window", "digest", "in", "partitions", "rows"), rows, 4)


def making(made: Lineage) -> Table:
    """Returns what made the version, but for what is not known."""
    libraries = ", ".join(f"{name} {number}" for name, number in made.libraries.items())
    known = ((name, _text(value)) for name, value in made.training.items() if value not in (None, [], {}))
    seeds = ((name, str(seed)) for name, seed in made.seeds.items())
    return Table(("", ""), [*known, *seeds, ("libraries", libraries)], numbers=2)


def _rows(one: Input) -> int:
    return sum(day.rows for day in one.days)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
