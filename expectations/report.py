"""The report of a gate: one row per expectation, as a table and as JSON."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from conf import text_table
from conf.base import Strict
from expectations.drift.checks import DriftProfile
from expectations.inputs import InputProfile
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile

Gate = Literal["inputs", "interactions", "lists", "input_drift", "list_drift"]
Profile = InputProfile | InteractionProfile | ListProfile | DriftProfile
Status = Literal["FAILED", "overridden", "skipped", "ok"]


class ExpectationResult(Strict):
    """One judged or skipped expectation."""

    name: str
    """As in `conf/gates.py` and `--override`; other names belong to the contract."""
    observed: str
    """The found value, as text."""
    allowed: str
    """The allowed values, as text."""
    value: float | None = None
    """The judged number; None if there is none or it is not finite."""
    passed: bool
    """True if it was judged and held."""
    overridden: str | None = None
    """Reason for which the failure was lifted."""
    skipped: str | None = None
    """Reason for which it was not judged."""
    protected: bool
    """True if no override can lift it."""

    @property
    def status(self) -> Status:
        """One word; only FAILED stops the run."""
        if self.passed:
            return "ok"
        if self.skipped is not None:
            return "skipped"
        return "FAILED" if self.overridden is None else "overridden"


class GateReport(Strict):
    """The report of one gate, with the profile that the next run is compared with."""

    gate: Gate
    """Name of the gate."""
    passed: bool
    """True if every failed expectation was overridden."""
    run: str | None = None
    """Id of the judged run."""
    as_of: dt.date | None = None
    """Day of the judged run."""
    expectations: tuple[ExpectationResult, ...]
    """Every expectation, in the order of the suite."""
    unused_overrides: dict[str, str] = Field(default_factory=dict)
    """Overrides (name → reason) of expectations of this gate that held or were skipped."""
    profile: Annotated[Profile, Field(discriminator="kind")] | None
    """The measured numbers; None if measuring failed."""

    @property
    def failed(self) -> tuple[ExpectationResult, ...]:
        """The expectations that stop the run."""
        return tuple(row for row in self.expectations if row.status == "FAILED")

    def to_json(self) -> str:
        """Returns the report as JSON; `GateReport.from_json` reads it."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> "GateReport":
        """Returns the report that `to_json` wrote; raises pydantic.ValidationError for anything else."""
        return cls.model_validate_json(text)


def table(rows: Sequence[ExpectationResult]) -> str:
    """Returns aligned columns status, expectation, observed, allowed of expectations that were judged."""
    cells = [(row.status, row.name, row.observed, row.allowed) for row in rows]
    return text_table.table(cells, ("", "expectation", "observed", "allowed"), indent=2)
