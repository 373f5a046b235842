"""What the report is made of: the small JSON files of a run, of any version of the code, and of the run before."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from expectations.report import GateReport

_LONGEST = 400
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Known:
    """A value of a JSON document as far as it is there: older runs lack some, and newer ones may have others."""

    value: Any = None

    def at(self, *names: str) -> "Known":
        """Returns what stands under these keys, one below the other; nothing where one of them is missing."""
        value = self.value
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return Known(value)

    def __bool__(self) -> bool:
        """Returns whether something is there; an empty list or mapping is nothing."""
        return self.value not in (None, "", [], {})

    @property
    def number(self) -> float | None:
        """A finite number."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return self.value if is_number and -1e300 < self.value < 1e300 else None

    @property
    def count(self) -> int | None:
        """A whole number."""
        return None if self.number is None else math.floor(self.number)

    @property
    def text(self) -> str | None:
        """A text, cut where it is long."""
        if not isinstance(self.value, str):
            return None
        return self.value if len(self.value) <= _LONGEST else f"{self.value[:_LONGEST]}…"

    @property
    def day(self) -> dt.date | None:
        """A day as in 2026-11-16."""
        try:
            return dt.date.fromisoformat(self.value)
        except (TypeError, ValueError):
            return None

    @property
    def moment(self) -> dt.datetime | None:
        """A time with its zone, in UTC."""
        try:
            return dt.datetime.fromisoformat(self.value).astimezone(dt.UTC)
        except (TypeError, ValueError, OverflowError):
            return None

    def items(self) -> Iterator[tuple[str, "Known"]]:
        """Yields the entries of a mapping."""
        if isinstance(self.value, Mapping):
            yield from ((str(name), Known(value)) for name, value in self.value.items())

    def each(self) -> Iterator["Known"]:
        """Yields the elements of a list."""
        if isinstance(self.value, list | tuple):
            yield from map(Known, self.value)

    def mapping(self) -> dict[str, Any]:
        """Returns a mapping as it is; an empty one where there is none."""
        return dict(self.value) if isinstance(self.value, Mapping) else {}


@dataclass(frozen=True)
class RunDocuments:
    """The files of one run that its report is made of."""

    digest: str
    """SHA-256 of the manifest."""
    manifest: Known
    gates: Mapping[str, Known] = field(default_factory=dict)
    """Gate → its report."""
    card: Known = Known()
    """The part of the model card, and the weeks before."""
    inputs: Known = Known()
    """What the stage features recorded before it wrote its tables."""
    before: Known = Known()
    """Manifest of the run that served when this one began."""
    lists_before: Known = Known()
    """Report of that run's gate on lists."""
    faults: tuple[str, ...] = ()
    """What could not be read, and why."""

    @property
    def product(self) -> str:
        """Name of the product."""
        return self.manifest.at("request", "product").text or "product unknown"

    @property
    def run(self) -> str:
        """Id of the run."""
        return self.manifest.at("request", "run_id").text or "without an id"

    def fact(self, stage: str, *names: str) -> Known:
        """Returns a fact of a finished stage."""
        return self.manifest.at("stages", stage, "facts", *names)

    def records(self) -> Iterator[Known]:
        """Yields the records of the datasets that were read, as far as the run came."""
        known = self.fact("features", "inputs") or self.inputs.at("inputs")
        yield from known.each() if known else _counted(self.gates.get("inputs", Known()).at("profile"))

    @cached_property
    def judged_gates(self) -> dict[str, GateReport]:
        """The reports that this code can read in full."""
        found = {}
        for gate, report in self.gates.items():
            try:
                found[gate] = GateReport.model_validate_json(json.dumps(report.value))
            except ValidationError:
                continue
        return found

    @property
    def stopped_by(self) -> GateReport | None:
        """The gate that stopped the run; None if none did, or it cannot be read."""
        if not self.manifest.at("failure"):
            return None
        return next((report for report in self.judged_gates.values() if report.failed), None)


def _counted(profile: Known) -> Iterator[Known]:
    """Yields what the gate on inputs had counted of each dataset, in the form of a record."""
    for name, one in profile.at("events").items():
        start = one.at("start").text or ""
        days = ({"day": day.at("day").value, "rows": day.at("events").value} for day in one.at("days").each())
        inside = [day for day in days if isinstance(day["day"], str) and day["day"] >= start]
        yield Known({"name": name, "start": start, "end": one.at("end").value, "days": inside})
    for name, one in profile.at("snapshots").items():
        yield Known({"name": name, "days": [{"day": one.at("day").value, "rows": one.at("rows").value}]})
