"""Plans which partitions of a daily dataset a window reads, and enforces its policy for gaps."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conf.datasets import DailyDataset
from conf.errors import ConfigError
from conf.windows import Window
from features.errors import MissingDaysError, NotArrivedError
from features.reading.catalog import Catalog, DayPartition
from features.reading.schema import Field

_SHOWN = 3


@dataclass(frozen=True)
class DatasetPlan:
    """The partitions of one dataset in a window, found by names, markers and footers only."""

    name: str
    window: Window
    found: tuple[DayPartition, ...]
    """Finished partitions with rows, oldest first."""
    missing: tuple[dt.date, ...]
    """Days without a folder."""
    unfinished: tuple[dt.date, ...]
    """Days with a folder but without their success marker."""
    empty: tuple[dt.date, ...]
    """Finished days without rows."""
    excluded: Mapping[dt.date, str] = field(default_factory=dict)
    """Day that an operator excluded → who and why."""
    misnamed: Mapping[dt.date, str] = field(default_factory=dict)
    """Missing day → a folder that looks like that day."""
    fields: tuple[Field, ...] = ()
    """For a snapshot: columns that all its files have, set by `features.reading.snapshots.check_snapshot`."""

    @property
    def rows(self) -> int:
        """Rows of the partitions found."""
        return sum(partition.rows for partition in self.found)

    @property
    def bytes(self) -> int:
        """Bytes of the partitions found."""
        return sum(partition.bytes for partition in self.found)

    @property
    def gaps(self) -> tuple[dt.date, ...]:
        """Days with nothing to read, oldest first."""
        return tuple(sorted((*self.missing, *self.unfinished, *self.empty, *self.excluded)))


def plan_dataset(name: str, dataset: DailyDataset, window: Window, catalog: Catalog) -> DatasetPlan:
    """Returns the plan of a window, also with gaps; raises if the folder is missing or a file is broken."""
    parts = catalog.partitions(dataset, window.days)
    seen = {*parts.unfinished, *parts.excluded, *(partition.day for partition in parts.finished)}
    return DatasetPlan(
        name=name,
        window=window,
        found=tuple(partition for partition in parts.finished if partition.rows > 0),
        missing=tuple(day for day in window.days if day not in seen),
        unfinished=parts.unfinished,
        empty=tuple(partition.day for partition in parts.finished if partition.rows == 0),
        excluded=parts.excluded,
        misnamed={day: name for day, name in parts.misnamed.items() if day not in seen},
    )


def enforce_policy(plan: DatasetPlan, dataset: DailyDataset) -> None:
    """Raises MissingDaysError, or NotArrivedError under `wait`, if there are more gaps than the dataset allows."""
    allowed = dataset.max_missing_days if dataset.on_missing == "shrink" else 0
    if plan.found and len(plan.gaps) <= allowed:
        return
    fault = NotArrivedError if dataset.on_missing == "wait" else MissingDaysError
    raise fault(f"dataset {plan.name!r} ({dataset.path}), window {plan.window}: {_gaps(plan, dataset)}")


def check_window(name: str, window: Window, as_of: dt.date) -> None:
    """Raises ConfigError if the window ends after `as_of`, i.e. includes a day that is not over."""
    if window.end > as_of:
        raise ConfigError(
            f"dataset {name!r}: window {window} reaches beyond the last complete day before {as_of}; "
            'let it end at "today" or earlier'
        )


def _gaps(plan: DatasetPlan, dataset: DailyDataset) -> str:
    kinds = {
        "missing": plan.missing,
        f"present but unfinished (no {dataset.success_marker})": plan.unfinished,
        "empty": plan.empty,
    }
    gaps = [f"{len(days)} {kind}: {_days(days)}" for kind, days in kinds.items() if days]
    if plan.excluded:
        gaps.append(f"{len(plan.excluded)} excluded: {excluded_text(plan.excluded)}")
    found = f"{'' if plan.found else 'nothing to read: '}{'; '.join(gaps)}"
    return f"{found}. {misnamed_hint(plan.misnamed)}{_remedy(plan, dataset)}"


def excluded_text(excluded: Mapping[dt.date, str]) -> str:
    """Returns days that are left out, who left them out and why, e.g. "2026-11-12 (by anna: half is lost)"."""
    by: dict[str, list[dt.date]] = {}
    for day, why in sorted(excluded.items()):
        by.setdefault(why, []).append(day)
    return ", ".join(f"{_days(days)} ({why})" for why, days in by.items())


def misnamed_hint(misnamed: Mapping[dt.date, str]) -> str:
    """Returns a sentence with folders that look like days and their right names; empty if there are none."""
    if not misnamed:
        return ""
    some = ", ".join(f"{name!r} (write dt={day})" for day, name in sorted(misnamed.items())[:_SHOWN])
    more = ", …" if len(misnamed) > _SHOWN else ""
    return f"Only folders called dt=YYYY-MM-DD are days; there are {some}{more}. "


def _remedy(plan: DatasetPlan, dataset: DailyDataset) -> str:
    if not plan.excluded:
        return _remedy_of_gaps(plan, dataset)
    days = " ".join(map(str, sorted(plan.excluded)))
    again = f"discovery drift exclude {plan.name} {days} --undo once they are delivered again"
    return f"{_remedy_of_gaps(plan, dataset)}; {again}"


def _remedy_of_gaps(plan: DatasetPlan, dataset: DailyDataset) -> str:
    if dataset.on_missing == "wait":
        return "Run again when they have arrived"
    if not plan.found:
        return "Let the export run, or correct the path, the window or --as-of"
    if dataset.on_missing == "shrink":
        return f"At most {dataset.max_missing_days} may be (max_missing_days); let the export run or allow more"
    return "Let the export run, or set on_missing to wait or shrink"


def _days(days: Sequence[dt.date]) -> str:
    shown = ", ".join(map(str, days[:10]))
    return shown if len(days) <= 10 else f"{shown} … {days[-1]}"
