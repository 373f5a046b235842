"""Gate 1, inputs: the counts of snapshots and of days of events, and the list of expectations on them.

Every name is a limit in `conf/gates.py`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from conf.base import Strict
from conf.gates import InputGate
from expectations.checks import FIRST_RUN, Check, Pair, change, change_of_larger, format_value, limit
from expectations.new_days import DaysProfile, compare_new_days

_LEAST_COUNT = 100
"""Fewest rows or users of a snapshot whose number is compared; smaller numbers vary by chance."""
_LEAST_SOURCES = 20
"""Fewest eligible, or ineligible, sources whose decrease is checked."""


class SnapshotProfile(Strict):
    """Counts of one snapshot as delivered, erased users included."""

    day: dt.date
    """Day of its partition."""
    rows: int
    """Exact number of rows."""
    users: int | None = None
    """Distinct users, within 2 %; None for `sources`."""
    eligible: int | None = None
    """Exact number of sources that may be recommended; None for other snapshots."""


class InputProfile(Strict):
    """Counts of one run's inputs."""

    kind: Literal["inputs"] = "inputs"
    """Distinguishes profiles in JSON."""
    snapshots: dict[str, SnapshotProfile]
    """Snapshots by name; those that the settings lack are left out."""
    events: dict[str, DaysProfile]
    """Event datasets by name."""


@dataclass(frozen=True)
class ServedInputs:
    """Inputs of the run that serves."""

    as_of: dt.date
    """Day of that run."""
    profile: InputProfile | str
    """The profile, or why there is none."""


def input_checks(profile: InputProfile, limits: InputGate, before: ServedInputs | None, as_of: dt.date) -> list[Check]:
    """Returns every expectation of the inputs, in the order of the report; the first run (None) skips all."""
    former = FIRST_RUN if before is None else before.profile
    return [
        change(limits, "max_change_of_subscriptions", _counts("subscriptions", profile, former), change_of_larger),
        change(limits, "max_change_of_sources", _counts("sources", profile, former), change_of_larger),
        _eligible_share(limits, _both("sources", profile, former)),
        change(limits, "max_change_of_blocks", _counts("blocks", profile, former), change_of_larger),
        change(limits, "max_change_of_audience", _counts("audience", profile, former), change_of_larger),
        _new_days(limits, profile, before, as_of),
    ]


def _both(name: str, now: InputProfile, before: InputProfile | str) -> tuple[SnapshotProfile, SnapshotProfile] | str:
    """Returns the snapshot now and before, or why they are not compared."""
    if isinstance(before, str):
        return before
    ours, theirs = now.snapshots.get(name), before.snapshots.get(name)
    if ours is None:
        return f"the settings have no {name}" + ("" if theirs is None else " any more")
    if theirs is None:
        return f"the settings of the run that serves had no {name}"
    return ours, theirs


def _counts(name: str, profile: InputProfile, former: InputProfile | str) -> Mapping[str, Pair] | str:
    """Returns rows and users of a snapshot now and before, or the reason for not comparing them."""
    found = _both(name, profile, former)
    if isinstance(found, str):
        return found
    now, before = found
    pairs: dict[str, Pair] = {f"{name}: rows": (now.rows, before.rows)}
    if before.users is not None:
        pairs[f"{name}: users"] = (now.users, before.users)
    large = {label: pair for label, pair in pairs.items() if (pair[1] or 0) >= _LEAST_COUNT}
    return large or f"{before.rows:,} rows before, compared from {_LEAST_COUNT}"


def _eligible_share(limits: InputGate, found: tuple[SnapshotProfile, SnapshotProfile] | str) -> Check:
    """Checks which share of the eligible sources, or of the ineligible ones if these became fewer, was lost."""
    name = "max_change_of_eligible_share"
    if isinstance(found, str):
        return limit(limits, name, found)
    now, before = found
    share, former = _share(now), _share(before)
    if share is None or former is None or before.eligible is None:
        return limit(limits, name, None, "percent")
    rest, kind = (1 - former, "not be") if share > former else (former, "be")
    count = before.rows - before.eligible if share > former else before.eligible
    if share != former and count < _LEAST_SOURCES:
        return limit(limits, name, f"{count:,} sources could {kind} recommended before, compared from {_LEAST_SOURCES}")
    detail = f"sources: eligible share {format_value(former, 'percent')} → {format_value(share, 'percent')}"
    return limit(limits, name, abs(share - former) / rest if rest else 0.0, "percent", detail)


def _share(sources: SnapshotProfile) -> float | None:
    return None if sources.eligible is None or not sources.rows else sources.eligible / sources.rows


def _new_days(limits: InputGate, profile: InputProfile, before: ServedInputs | None, as_of: dt.date) -> Check:
    """Checks the week of new days that differs most from what is usual, over datasets and counts."""
    name = "max_change_of_new_days"
    if before is None:
        return limit(limits, name, FIRST_RUN)
    found = {dataset: compare_new_days(days, before.as_of, as_of) for dataset, days in profile.events.items()}
    weeks = [(dataset, week) for dataset, some in found.items() if not isinstance(some, str) for week in some]
    skipped = [f"{dataset}: {reason}" for dataset, reason in found.items() if isinstance(reason, str)]
    if not weeks:
        return limit(limits, name, "; ".join(skipped))
    dataset, worst = max(weeks, key=lambda pair: change_of_larger(pair[1].ratio, 1.0) or 0.0)
    usual, count = format_value(round(worst.usual), "count"), format_value(worst.found, "count")
    example = f"{dataset}: {worst.what} of {worst.days} new days, e.g. {worst.day} usually {usual}, found {count}"
    detail = "; ".join([example, *(f"not compared: {reason}" for reason in skipped)])
    return limit(limits, name, change_of_larger(worst.ratio, 1.0), "percent", detail)
