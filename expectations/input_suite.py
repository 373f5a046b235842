"""Gate 1, inputs: what is expected of snapshots and of new days; every name is a limit in `conf/gates.py`."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from conf.datasets import SNAPSHOTS
from conf.gates import InputGate
from expectations.checks import FIRST_RUN, Between, Check, Skip, change, change_of_larger, write
from expectations.input_profile import InputProfile, SnapshotProfile
from expectations.new_days import Comparison, compare_new_days

_LEAST_COUNT = 100
"""Fewest rows or users of a snapshot whose number is compared; smaller numbers vary by chance."""
_LEAST_SOURCES = 20
"""Fewest eligible, or ineligible, sources whose decrease is checked."""


@dataclass(frozen=True)
class ServedInputs:
    """Inputs of the run that serves."""

    as_of: dt.date
    """Day of that run."""
    profile: InputProfile | str
    """The profile, or why there is none."""


def input_checks(profile: InputProfile, limits: InputGate, before: ServedInputs | None, as_of: dt.date) -> list[Check]:
    """Returns every expectation of the inputs, in the order of the report; the first run skips all."""
    if before is None:
        return [Skip(name, FIRST_RUN) for name in InputGate.model_fields]
    return [*_snapshots(profile, limits, before.profile), _new_days(profile, limits, before.as_of, as_of)]


def _snapshots(profile: InputProfile, limits: InputGate, before: InputProfile | str) -> list[Check]:
    checks: list[Check] = []
    for name in SNAPSHOTS:
        expectations = [f"max_change_of_{name}"] + ["max_change_of_eligible_share"] * (name == "sources")
        found = _both(name, profile, before)
        if isinstance(found, str):
            checks += [Skip(expectation, found) for expectation in expectations]
            continue
        now, then = found
        checks.append(_counts(name, now, then, getattr(limits, expectations[0])))
        if name == "sources":
            checks.append(_eligible(now, then, limits.max_change_of_eligible_share))
    return checks


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


def _counts(name: str, now: SnapshotProfile, before: SnapshotProfile, limit: float) -> Check:
    both: dict[str, tuple[float | None, float | None]] = {f"{name}: rows": (now.rows, before.rows)}
    if before.users is not None:
        both[f"{name}: users"] = (now.users, before.users)
    large = {label: pair for label, pair in both.items() if (pair[1] or 0) >= _LEAST_COUNT}
    if not large:
        return Skip(f"max_change_of_{name}", f"{before.rows:,} rows before, compared from {_LEAST_COUNT}")
    return change(f"max_change_of_{name}", limit, large, change_of_larger)


def _eligible(now: SnapshotProfile, before: SnapshotProfile, limit: float) -> Check:
    """Checks which share of the eligible sources, or of the ineligible ones if these became fewer, was lost."""
    name = "max_change_of_eligible_share"
    share, former = _share(now), _share(before)
    if share is None or former is None or before.eligible is None:
        return Between(name, None, high=limit, unit="percent")
    rest, kind = (1 - former, "not be") if share > former else (former, "be")
    count = before.rows - before.eligible if share > former else before.eligible
    if share != former and count < _LEAST_SOURCES:
        return Skip(name, f"{count:,} sources could {kind} recommended before, compared from {_LEAST_SOURCES}")
    detail = f"sources: eligible share {write(former, 'percent')} → {write(share, 'percent')}"
    return Between(name, abs(share - former) / rest if rest else 0.0, high=limit, unit="percent", detail=detail)


def _share(sources: SnapshotProfile) -> float | None:
    return None if sources.eligible is None or not sources.rows else sources.eligible / sources.rows


def _new_days(profile: InputProfile, limits: InputGate, served: dt.date, as_of: dt.date) -> Check:
    name = "max_change_of_new_days"
    all_of_them = {of: compare_new_days(days, served, as_of) for of, days in profile.events.items()}
    compared = [(of, one) for of, found in all_of_them.items() if not isinstance(found, str) for one in found]
    skipped = [f"{of}: {reason}" for of, reason in all_of_them.items() if isinstance(reason, str)]
    if not compared:
        return Skip(name, "; ".join(skipped))
    return _worst(name, compared, limits.max_change_of_new_days, skipped)


def _worst(name: str, compared: Sequence[tuple[str, Comparison]], limit: float, skipped: Sequence[str]) -> Between:
    dataset, worst = max(compared, key=lambda pair: change_of_larger(pair[1].ratio, 1.0) or 0.0)
    usual, found = write(round(worst.usual), "count"), write(worst.found, "count")
    example = f"{dataset}: {worst.what} of {worst.days} new days, e.g. {worst.day} usually {usual}, found {found}"
    detail = "; ".join([example, *(f"not compared: {one}" for one in skipped)])
    return Between(name, change_of_larger(worst.ratio, 1.0), high=limit, unit="percent", detail=detail)
