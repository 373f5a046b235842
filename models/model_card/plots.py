"""The drawings of a model card, each onto an empty canvas."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.judge import ALL, CHAMPION, ITEM_KNN, OURS, POPULARITY, FigureKey, Judgement
from models.model_card.card import ModelCard, Week
from models.model_card.shape import PERCENTS, Shape
from models.model_card.tables import segments, shape_pairs
from models.pages import Plot
from models.training.learning_curve import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_BLUE, _GREY, _ORANGE, _GREEN, _INK = "#1f5fa8", "#8a8f98", "#d9822b", "#2e8b57", "#30343b"
_COLOURS = {OURS: _BLUE, POPULARITY: _GREY, ITEM_KNN: _ORANGE, CHAMPION: _GREEN}
_GAP = 0.16
"""Between the arms of a segment."""


def plots_of(card: ModelCard) -> list[Plot]:
    """Returns the drawings for which there are figures."""
    made = []
    judged, points, pairs = card.judgement, card.curve, shape_pairs(card)
    if not isinstance(judged, str):
        here = [ALL, *segments(judged)]
        shows = f"NDCG@{judged.k} of each arm by segment, with 95 % intervals"
        made.append(Plot("segments", shows, lambda canvas: draw_segments(canvas, judged, here), (9, 3.8)))
    if card.before:
        shows = "NDCG, golden NDCG, users and interactions of the last versions"
        made.append(Plot("weeks", shows, lambda canvas: draw_weeks(canvas, card.weeks), (9, 5.6)))
    if not isinstance(points, str):
        shows = f"NDCG after each of {len(points)} iterations"
        made.append(Plot("learning_curve", shows, lambda canvas: draw_curve(canvas, points), (7, 3.2)))
    if any(shape for pair in pairs.values() for shape in pair):
        shows = "Quantiles of scores and norms: line 50 %, box 25 to 75 %, whiskers 1 to 99 %"
        made.append(Plot("shapes", shows, lambda canvas: draw_shapes(canvas, pairs), (9, 2.6)))
    return made


def draw_segments(canvas: "Canvas", judged: Judgement, segments: Sequence[str]) -> None:
    """NDCG with intervals: a group per segment, a point per arm."""
    axes = _axes(canvas.subplots(), f"NDCG@{judged.k}")
    for at, arm in enumerate(judged.arms):
        found = [judged.figures.get(FigureKey(arm, segment, "ndcg")) for segment in segments]
        shift = (at - (len(judged.arms) - 1) / 2) * _GAP
        known = [(place + shift, figure) for place, figure in enumerate(found) if figure is not None]
        _points(
            axes,
            [place for place, _ in known],
            [(figure.mean, figure.low, figure.high) for _, figure in known],
            label=arm,
            color=_COLOURS.get(arm, _INK),
        )
    axes.set_xticks(range(len(segments)), [f"{segment}\n{judged.users(segment):,} users" for segment in segments])
    axes.set_xlim(-0.5, len(segments) - 0.5)
    _legend(axes)


def draw_curve(canvas: "Canvas", points: Sequence[Point]) -> None:
    """NDCG over iterations; the time of each below its number."""
    axes = _axes(canvas.subplots(), "NDCG")
    numbers = [point.iteration for point in points]
    axes.plot(numbers, [point.ndcg for point in points], "o-", color=_BLUE, markersize=5)
    step = -(-len(points) // 12)
    axes.set_xticks(numbers[::step], [f"{point.iteration}\n{point.seconds:.2g} s" for point in points[::step]])
    axes.set_xlabel("iteration")
    axes.margins(x=0.06, y=0.15)


def draw_shapes(canvas: "Canvas", shapes: Mapping[str, tuple[Shape | None, Shape | None]]) -> None:
    """A panel per quantity: a box for this version, and one for the champion where it is known."""
    panels = canvas.subplots(1, len(shapes))
    for axes, (title, pair) in zip(panels, shapes.items(), strict=True):
        here = [
            (name, shape, colour)
            for name, shape, colour in zip(("this version", "champion"), pair, (_BLUE, _GREEN), strict=True)
            if shape is not None
        ]
        _axes(axes, "", grid="x").set_title(title, fontsize=9, color=_INK, loc="left")
        if not here:
            axes.text(0.5, 0.5, "not known", ha="center", va="center", transform=axes.transAxes, color=_GREY)
            axes.set_axis_off()
            continue
        drawn = axes.bxp(
            [_box(name, shape) for name, shape, _ in here],
            orientation="horizontal",
            showfliers=False,
            patch_artist=True,
            widths=0.5,
            medianprops={"color": "white", "linewidth": 1.6},
            whiskerprops={"color": _INK},
            capprops={"color": _INK},
        )
        for box, (_, _, colour) in zip(drawn["boxes"], here, strict=True):
            box.set(facecolor=colour, edgecolor=colour)
        axes.invert_yaxis()


def draw_weeks(canvas: "Canvas", weeks: Sequence[Week]) -> None:
    """Four panels over the versions: NDCG beside popularity, golden NDCG, users, interactions."""
    (quality, golden), (users, interactions) = canvas.subplots(2, 2, sharex=True)
    judged = [(at, week) for at, week in enumerate(weeks) if week.ndcg is not None]
    _points(
        _axes(quality, "NDCG"),
        [at for at, _ in judged],
        [(week.ndcg, week.low, week.high) for _, week in judged],
        label="the version",
        color=_BLUE,
        line="-",
    )
    _line(quality, [week.popularity for week in weeks], _GREY, "popularity")
    _line(_axes(golden, "golden NDCG"), [week.golden for week in weeks], _ORANGE)
    _bars(_axes(users, "users"), [week.users for week in weeks])
    _bars(_axes(interactions, "interactions"), [week.interactions for week in weeks])
    golden.margins(y=0.3)
    for axes in (users, interactions):
        axes.set_xticks(range(len(weeks)), [week.as_of for week in weeks], rotation=35, ha="right")
        axes.set_xlim(-0.6, len(weeks) - 0.4)
    _legend(quality)


def _axes(axes: "Axes", title: str, grid: Any = "y") -> "Axes":
    """Quiet axes: light grid, no frame."""
    axes.grid(axis=grid, color="#e4e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#c4c8ce")
    axes.tick_params(length=0, labelsize=8, colors=_INK)
    axes.set_ylabel(title, fontsize=9, color=_INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    return axes


def _points(
    axes: "Axes", places: Sequence[float], estimates: Sequence[Any], *, label: str, color: str, line: str = ""
) -> None:
    """Means with their intervals, where these are known; a percentile interval may leave the mean outside."""
    ends = [
        [max(0.0, mean - low if low is not None else 0.0) for mean, low, _ in estimates],
        [max(0.0, high - mean if high is not None else 0.0) for mean, _, high in estimates],
    ]
    axes.errorbar(
        places,
        [mean for mean, _, _ in estimates],
        yerr=ends,
        fmt=f"o{line}",
        color=color,
        label=label,
        markersize=5,
        elinewidth=1.4,
        capsize=2.5,
    )


def _line(axes: "Axes", values: Sequence[float | None], color: str, label: str | None = None) -> None:
    drawn = [float("nan") if value is None else value for value in values]
    axes.plot(range(len(values)), drawn, "o-", color=color, label=label, markersize=4.5)


def _bars(axes: "Axes", values: Sequence[int | None]) -> None:
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    axes.bar([at for at, _ in known], [value for _, value in known], color="#9db9d8", width=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _legend(axes: "Axes") -> None:
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0)


def _box(name: str, shape: Shape) -> dict[str, Any]:
    at = dict(zip(PERCENTS, shape.quantiles, strict=True))
    return {"label": name, "med": at[50], "q1": at[25], "q3": at[75], "whislo": at[1], "whishi": at[99]}
