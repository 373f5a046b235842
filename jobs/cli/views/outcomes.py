"""How outcomes look: a line per week or day, basis, run and arm, and what is to be known about them."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from conf.share import EVERYBODY, NOBODY, Share
from jobs.cli.views.view import NOTHING, View, duration, table
from jobs.outcomes.store import Record
from models.outcomes.basis import Basis
from models.outcomes.figures import Figures, incremental_hits
from models.outcomes.intervals import Incremental, Interval
from models.outcomes.propensities import Ratio, curve_of, sums_of_swaps

_ARMS = {"treatment": NOBODY, "control": EVERYBODY}
"""Arm → the share of the treatment at which nobody is in it."""
_UNKNOWN = "?"


def monday(day: dt.date) -> dt.date:
    """Returns the first day of a week."""
    return day - dt.timedelta(days=day.weekday())


def outcomes(
    records: Sequence[Record], rows: Sequence[Mapping[str, Any]], gone: Collection[str], *, daily: bool
) -> View:
    """Returns sums per week or day, in the order of their rows; gone: runs whose folders are deleted."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        start = row["day"] if daily else monday(row["day"])
        groups.setdefault((start, row["basis"], row["arm"], row["run"], row["by"], row["value"]), []).append(row)
    found = [(key, Figures.sum(some)) for key, some in groups.items()]
    found.sort(key=lambda one: (one[0][0], one[0][1], one[0][2]), reverse=False)
    at = records[-1].at
    split = any(key[4] != "all" for key, _ in found)
    header = ["day" if daily else "week of", "basis", "arm", "run", *(["value"] if split else [])]
    header += ["user-days", "answers", "hits", "rate", *(f"hits@{k}" for k in at), "new ones listed", "first hit after"]
    text = table([_line(key, one, at, split=split) for key, one in found], header)
    made = list(_incremental(rows, daily=daily))
    by_place = _by_place(records, rows)
    said = [*(_sentence(*one) for one in made), *notes_on(records, rows, gone)]
    data = {
        "rows": [_data(key, one, daily=daily) for key, one in found],
        "propensities": {
            basis: [None if one is None else asdict(one) for one in curve] for basis, curve in by_place.items()
        },
        "incremental": [_incremental_data(*one, daily=daily) for one in made],
        "days": [record.model_dump(mode="json", exclude={"file", "sha256", "inputs", "swaps"}) for record in records],
        "at": at,
        "notes": said,
    }
    return View("\n".join([text or "nothing was answered on these days", *said]), data)


def notes_on(records: Sequence[Record], rows: Sequence[Mapping[str, Any]], gone: Collection[str]) -> list[str]:
    """Returns what is said below the figures, as whole sentences, but for incremental hits."""
    return [*_curves(_by_place(records, rows)), *_notes(records, rows, gone)]


def _by_place(records: Sequence[Record], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Ratio | None]]:
    """Returns basis → how often a place is looked at, if figures are by place."""
    has_places = any(row["by"] == "position" for row in rows)
    return {basis: _curve(records, basis) for basis in _bases(records) if has_places}


def _bases(records: Sequence[Record]) -> list[str]:
    return sorted({basis for record in records for basis in record.bases})


def _curve(records: Sequence[Record], basis: str) -> list[Ratio | None]:
    """Returns how often places are looked at, relative to the first; of mature days, whose hits are all there."""
    return curve_of(sums_of_swaps(record.swaps.get(basis, {}) for record in records if record.mature))


def _curves(by_place: Mapping[str, Sequence[Ratio | None]]) -> Iterator[str]:
    """Yields the curve of each basis, beside the rates above, which also fall because of what stands there."""
    for basis, curve in by_place.items():
        texts = (
            f"{place}: {'not identifiable' if one is None else f'{one.value:.2f} ({one.low:.2f} to {one.high:.2f})'}"
            for place, one in enumerate(curve, start=1)
        )
        if any(curve):
            yield f"{basis}: how often a place is looked at, relative to the first: {', '.join(texts)}"
        else:
            yield (
                f"{basis}: how often a place is looked at is not identifiable: too few hits of sources that were at "
                "another place a week before or after"
            )


def _line(key: tuple[Any, ...], one: Figures, at: Sequence[int], *, split: bool) -> list[str]:
    start, basis, arm, run, _, value = key
    places = one.hits_at if one.hits_at is not None and len(one.hits_at) == len(at) else None
    return [
        str(start),
        str(basis),
        str(arm),
        run or NOTHING,
        *([_UNKNOWN if value is None else str(value)] if split else []),
        f"{one.users:,}",
        f"{one.answers:,} {one.basis.per}",
        "" if one.hits is None else f"{one.hits:,}",
        f"{one.rate.basis.rate} {one.rate.text}{_interval_text(one)}",
        *("" if places is None else f"{hits:,}" for hits in places or [0] * len(at)),
        "" if one.new_share is None else f"{one.new_share:.1%}".replace("%", " %"),
        "" if one.mean_seconds is None else duration(one.mean_seconds),
    ]


def _interval_text(one: Figures) -> str:
    """Returns the ends of the rate's 95 % interval for people."""
    found, scale, unit = one.interval, *((100, " %") if one.basis is Basis.SHOWN else (1, ""))
    if found is None or found.low is None or found.high is None:
        return ""
    return f" ({max(0.0, found.low) * scale:.3f} … {found.high * scale:.3f}{unit})"


def _data(key: tuple[Any, ...], one: Figures, *, daily: bool) -> dict[str, Any]:
    start, basis, arm, run, by, value = key
    left_out = ("basis", "by", "group_users", "group_answers", "group_hits")
    names = [name for name in Figures.__dataclass_fields__ if name not in left_out]
    return {
        "day" if daily else "week": str(start),
        "basis": basis,
        "arm": arm,
        "run": run,
        "by": by,
        "value": value,
        **{("user_days" if name == "users" else name): getattr(one, name) for name in names},
        "rate": {"name": one.rate.basis.rate, "value": one.rate.value},
        "interval": _ends(one.interval),
        "new_listed_share": one.new_share,
        "first_hit_mean_seconds": one.mean_seconds,
        "first_hit_median_below_seconds": one.median_below_seconds,
    }


def _incremental(rows: Sequence[Mapping[str, Any]], *, daily: bool) -> Iterator[tuple[dt.date, Basis, Incremental]]:
    """Yields by week or day and basis what lists have made; nothing where there are no shadow lists."""
    groups: dict[tuple[dt.date, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        start = row["day"] if daily else monday(row["day"])
        groups.setdefault((start, row["basis"]), []).append(row)
    for (start, basis), some in sorted(groups.items()):
        if (found := incremental_hits(some)) is not None:
            yield start, Basis(basis), found


def _sentence(start: dt.date, basis: Basis, one: Incremental) -> str:
    """Returns what lists have made, in words."""
    found = one.difference
    interval = "too few users to tell"
    if found.low is not None and found.high is not None:
        interval = f"95 %: {found.low:+.4f} … {found.high:+.4f}"
    return (
        f"incremental, {start}, {basis}: {one.treatment:.4f} hits per user and day with lists, {one.shadow:.4f} on "
        f"lists that nobody got: {found.value:+.4f} ({interval}), {one.hits:+,.0f} hits of {one.user_days:,} user-days "
        f"beside {one.shadow_user_days:,}"
    )


def _incremental_data(start: dt.date, basis: Basis, one: Incremental, *, daily: bool) -> dict[str, Any]:
    return {
        "day" if daily else "week": str(start),
        "basis": basis,
        "treatment": one.treatment,
        "shadow": one.shadow,
        "difference": {"value": one.difference.value, **_ends(one.difference)},
        "hits": one.hits,
        "user_days": one.user_days,
        "shadow_user_days": one.shadow_user_days,
    }


def _ends(interval: Interval | None) -> dict[str, float | None]:
    return {"low": None if interval is None else interval.low, "high": None if interval is None else interval.high}


def _notes(records: Sequence[Record], rows: Sequence[Mapping[str, Any]], gone: Collection[str]) -> Iterator[str]:
    """Yields what a reader of the figures must know, as whole sentences."""
    if growing := [record.day for record in records if not record.mature]:
        yield f"not mature, and still growing as events arrive: {_days(growing)}"
    first, last = records[0].day, records[-1].day
    known = {record.day for record in records}
    between = (first + dt.timedelta(days=i) for i in range((last - first).days))
    if lacking := [day for day in between if day not in known]:
        yield f"not measured: {_days(lacking)}; jobs/measure_outcomes.py --day says why"
    if silent := [record.day for record in records if not record.bases]:
        yield f"nothing was answered or shown: {_days(silent)}"
    for basis in sorted({basis for record in records for basis in record.bases}):
        if without := [record.day for record in records if record.bases and basis not in record.bases]:
            yield f"no {Basis(basis).per} on {_days(without)}"
    if unsure := [record.day for record in records if not record.new_is_known]:
        yield f"new engagements are not known, since events before are not there: {_days(unsure)}"
    robots = sum(left.users for record in records for left in record.robots.values())
    if robots:
        yield f"left out as robots (outcomes.robots): {robots:,} user-days"
    shadows: dict[str, bool | None] = {}
    for record in records:
        shadows |= record.shadow
    deleted = sorted(run for run, there in shadows.items() if there is None)
    if deleted:
        yield f"no hits on shadow lists of {', '.join(deleted)}: they were deleted with the folder of the run"
    yield from _notes_on_arms(records, {row["arm"] for row in rows})
    if gone:
        yield f"the folder is deleted, the figures hold: {', '.join(sorted(gone))}"


def _notes_on_arms(records: Sequence[Record], there: Collection[str]) -> Iterator[str]:
    shares = {Share(then.share_bp) for record in records for then in record.served}
    if not shares:
        yield "who belonged to which arm is not known: the pointer's history has nothing of these days"
        return
    for arm, empty in _ARMS.items():
        if shares == {empty}:
            yield f"{arm}: nobody, the share was {empty} throughout; there is nothing to compare with"
        elif arm not in there:
            yield f"{arm}: users belonged to it (share {_range(shares)}), and nothing was answered to any of them"
    if there and all(then.treatment is None for record in records for then in record.served):
        yield "treatment: no run served it on these days"


def _range(shares: Collection[Share]) -> str:
    low, high = min(shares), max(shares)
    return str(low) if low == high else f"{low} to {high}"


def _days(days: Sequence[dt.date]) -> str:
    if len(days) == 1:
        return str(days[0])
    whole = (days[-1] - days[0]).days + 1 == len(days)
    if whole:
        return f"{days[0]} to {days[-1]}"
    return ", ".join(map(str, days[:7])) + (f" and {len(days) - 7} more" if len(days) > 7 else "")
