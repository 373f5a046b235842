"""What the page says of a version beside others: the champion, the weeks before, golden metrics, shapes."""

from collections.abc import Iterator

from models.judge import ALL, CHAMPION, OURS
from models.model_card.card import SCORES, SHAPES, SOURCE_NORMS, USER_NORMS, ModelCard, Week
from models.model_card.page import MISSING, Block, Plot, Section, Table, Text, count, interval, share
from models.model_card.plots import draw_shapes, draw_weeks
from models.model_card.shape import PERCENTS

_SHAPE_TITLES = {
    SCORES: "scores of the judged lists",
    USER_NORMS: "norms of user factors",
    SOURCE_NORMS: "norms of source factors",
}


def champion_section(card: ModelCard) -> Section:
    """This version and the one that served when its run began."""
    champion = card.champion
    if isinstance(champion, str):
        return Section("Against the champion", [Text(f"There is none to compare with: {champion}.")])
    now, then = card.now, champion.week
    golden = None if champion.golden is None else champion.golden.ndcg
    rows = [
        ("run", now.run_id, then.run_id),
        ("as of", now.as_of, then.as_of),
        ("NDCG, each on its own hold-out", _ndcg(now), _ndcg(then)),
        ("NDCG of popularity there", share(now.popularity), share(then.popularity)),
        ("golden NDCG", share(card.golden.ndcg), share(golden)),
        ("users", count(now.users), count(then.users)),
        ("sources", count(now.sources), count(then.sources)),
        ("interactions", count(now.interactions), count(then.interactions)),
    ]
    table = Table(("", "this version", f"version {then.version}"), rows)
    return Section("Against the champion", [Text(_contest(card)), table])


def _contest(card: ModelCard) -> str:
    judged = card.judgement
    if isinstance(judged, str) or CHAMPION not in judged.arms:
        return (
            "The recipe of the champion was not judged on this hold-out; the figures below are of different hold-outs "
            "and say nothing about which of the two is better."
        )
    ours, theirs = (card.estimate(ALL, "ndcg", arm) for arm in (OURS, CHAMPION))
    return (
        f"On the same hold-out the recipe of this run has NDCG@{judged.k} {share(ours.mean if ours else None)}, that "
        f"of the champion {share(theirs.mean if theirs else None)} (the difference is under Quality). The figures "
        "below are of each version's own week."
    )


def weeks_section(card: ModelCard) -> Section:
    """Returns the versions registered last, and this one."""
    if not card.before:
        return Section("The weeks before", [Text("There are none: no version was registered before this one.")])
    weeks = [*card.before, card.now]
    rows = [
        (
            week.as_of,
            MISSING if week.version is None else week.version,
            week.run_id,
            count(week.users),
            count(week.interactions),
            MISSING if week.k is None else str(week.k),
            _ndcg(week),
            share(week.popularity),
            share(week.golden),
        )
        for week in weeks
    ]
    header = ("as of", "version", "run", "users", "interactions", "k", "NDCG", "popularity", "golden NDCG")
    caption = (
        "Each week is judged on a hold-out of its own, so a change may be one of the data; golden NDCG is always of "
        "the same data. The last line is this version."
    )
    shows = "NDCG, golden NDCG, users and interactions of the last versions"
    plot = Plot("weeks", shows, lambda canvas: draw_weeks(canvas, weeks), (9, 5.6))
    return Section("The weeks before", [Text(caption), plot, Table(header, rows, 3), *map(Text, _unmeasured(weeks))])


def _unmeasured(weeks: list[Week]) -> Iterator[str]:
    lacks = {
        "not judged": [week for week in weeks if week.ndcg is None],
        "without golden metrics on these data": [week for week in weeks if week.golden is None],
    }
    for what, ones in lacks.items():
        if ones:
            yield f"{what.capitalize()}: {', '.join(_name(week) for week in ones)}."


def _name(week: Week) -> str:
    return "this version" if week.version is None else f"version {week.version}"


def golden_section(card: ModelCard) -> Section:
    """Returns what the training settings give on frozen data."""
    ours, champion = card.golden, card.champion
    theirs = None if isinstance(champion, str) else champion.golden
    data = f"{ours.name} {ours.version}"
    rows = [("this version", data, share(ours.ndcg), share(ours.recall))]
    if theirs is not None:
        rows.append(("champion", f"{theirs.name} {theirs.version}", share(theirs.ndcg), share(theirs.recall)))
    rows.append(("popularity", data, share(ours.popularity_ndcg), share(ours.popularity_recall)))
    caption = (
        "Is it the code or the data? These figures move only if code, libraries or training settings do. They are of "
        f"the golden data set {ours.name}, version {ours.version}, SHA-256 {ours.sha256}: {ours.users:,} users, a cold "
        "training with this version's settings by the trainer als in one thread."
    )
    blocks: list[Block] = [Text(caption), Table(("", "data set", f"NDCG@{ours.k}", f"Recall@{ours.k}"), rows, 2)]
    if theirs is None:
        why = champion if isinstance(champion, str) else "it was registered before there were any"
        blocks.append(Text(f"The champion's golden metrics are not there: {why}."))
    elif theirs.sha256 != ours.sha256:
        blocks.append(Text(f"The champion's are of other data (SHA-256 {theirs.sha256}) and do not compare."))
    return Section("Golden metrics", blocks)


def shape_section(card: ModelCard) -> Section:
    """Returns how scores and norms are spread, beside the champion's."""
    champion = card.champion
    theirs = {} if isinstance(champion, str) else champion.shapes
    both = {name: (card.shapes.get(name), theirs.get(name)) for name in SHAPES}
    header = ("", "", "numbers", *(f"{percent} %" for percent in PERCENTS))
    rows = [
        (_SHAPE_TITLES[name], whose, count(shape.count), *(f"{value:.4g}" for value in shape.quantiles))
        for name, pair in both.items()
        for whose, shape in zip(("this version", "champion"), pair, strict=True)
        if shape is not None
    ]
    caption = (
        "Quantiles. Scores are those of personal lists on the hold-out users; norms are those of the factors that the "
        "version holds, which are trained up to its day."
    )
    blocks: list[Block] = [Text(caption)]
    if rows:
        shows = "Quantiles of scores and norms: line 50 %, box 25 to 75 %, whiskers 1 to 99 %"
        drawn = {_SHAPE_TITLES[name]: pair for name, pair in both.items()}
        blocks += [Plot("shapes", shows, lambda canvas: draw_shapes(canvas, drawn), (9, 2.6)), Table(header, rows, 2)]
    blocks += [Text(f"Not known of this version: {_SHAPE_TITLES[name]}.") for name, (own, _) in both.items() if not own]
    if not isinstance(champion, str) and not theirs:
        blocks.append(Text("The champion's are not there: it was registered before there were any."))
    return Section("Scores and norms", blocks)


def _ndcg(week: Week) -> str:
    return interval(week.ndcg, week.low, week.high)
