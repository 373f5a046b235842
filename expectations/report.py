"""What a gate found: one row per expectation, observed against allowed, as a table for people and as JSON."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from conf.base import Strict
from expectations.input_profile import InputProfile
from expectations.profiles import InteractionProfile, ListProfile

Gate = Literal["inputs", "interactions", "lists"]
Status = Literal["FAILED", "overridden", "skipped", "ok"]


class ExpectationResult(Strict):
    """One expectation as it was judged."""

    name: str
    """As in `conf/gates.py` and `--override`; names that are not there are part of the contract."""
    observed: str
    """What was found, for people."""
    allowed: str
    """What may be found, for people."""
    value: float | None = None
    """The number that was judged; None if it has none, or none that is finite."""
    passed: bool
    """It was judged and it held."""
    overridden: str | None = None
    """Reason for which a failure was lifted."""
    skipped: str | None = None
    """Reason for which it was not judged."""
    protected: bool
    """No override can lift it."""

    @property
    def status(self) -> Status:
        """In one word; only FAILED stops the run."""
        if self.passed:
            return "ok"
        if self.skipped is not None:
            return "skipped"
        return "FAILED" if self.overridden is None else "overridden"


class GateReport(Strict):
    """What one gate found, with the profile that the next run compares itself with."""

    gate: Gate
    """Which gate."""
    passed: bool
    """No expectation failed without being overridden."""
    run: str | None = None
    """Run that was judged."""
    as_of: dt.date | None = None
    """Its day."""
    expectations: tuple[ExpectationResult, ...]
    """Every expectation, in the order of the suite."""
    unused_overrides: dict[str, str] = Field(default_factory=dict)
    """Overrides (name → reason) of expectations of this gate that held or were not judged."""
    profile: Annotated[InputProfile | InteractionProfile | ListProfile, Field(discriminator="kind")] | None
    """What was measured; None if measuring failed."""

    @property
    def failed(self) -> tuple[ExpectationResult, ...]:
        """The expectations that stop the run."""
        return tuple(row for row in self.expectations if row.status == "FAILED")

    def to_json(self) -> str:
        """Returns the report as JSON; `GateReport.from_json` reads it."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> "GateReport":
        """Returns the report that `to_json` wrote; raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(text)


def table(rows: Sequence[ExpectationResult]) -> str:
    """Returns aligned columns status, expectation, observed, allowed of expectations that were judged."""
    lines = [("", "expectation", "observed", "allowed")]
    lines += [(row.status, row.name, row.observed, row.allowed) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join("  " + "  ".join(map(str.ljust, line, (*widths, 0))).rstrip() for line in lines)
