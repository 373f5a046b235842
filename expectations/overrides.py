"""`--override NAME=REASON`: the expectations that an operator may lift."""

import difflib
from collections.abc import Mapping

from conf.gates import InputGate, InteractionGate, ListGate
from expectations.drift.statistics import STATISTICS, Kind, statistic
from expectations.errors import OverrideRefused
from expectations.report import Gate

_LIMITS: Mapping[Gate, frozenset[str]] = {
    "inputs": frozenset(InputGate.model_fields),
    "interactions": frozenset(InteractionGate.model_fields),
    "lists": frozenset(ListGate.model_fields),
}
"""The limits of each gate; expectations that are not limits are the contract of the table and always hold."""
DRIFT_KINDS: Mapping[Gate, frozenset[Kind]] = {
    "input_drift": frozenset({"events", "snapshot", "sources", "interactions", "served"}),
    "list_drift": frozenset({"factors", "lists", "judged"}),
}
"""The kinds of subjects whose statistics each drift gate judges."""


def is_liftable(gate: Gate, name: str) -> bool:
    """Returns whether `--override` can lift this expectation of a gate; every statistic of a drift gate can be."""
    if gate in _LIMITS:
        return name in _LIMITS[gate]
    return "." in name and any(statistic(kind, name.partition(".")[2]) for kind in DRIFT_KINDS[gate])


def check_overrides(overrides: Mapping[str, str]) -> None:
    """Raises OverrideRefused unless every override (name → reason) names a limit and has a reason.

    Call it when the command line is read, so that hours of work do not end with a misspelt name.
    """
    for name, reason in overrides.items():
        if not any(is_liftable(gate, name) for gate in (*_LIMITS, *DRIFT_KINDS)):
            raise OverrideRefused(f"--override {name}: {_refusal(name)}")
        if not reason.strip():
            raise OverrideRefused(f"--override {name}: the reason is empty; write --override {name}=REASON")


def _refusal(name: str) -> str:
    subject, dot, _ = name.partition(".")
    known = frozenset().union(*_LIMITS.values())
    if dot:
        known = frozenset(f"{subject}.{statistic}" for _, statistic in STATISTICS)
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"the limits are {', '.join(sorted(known))}"
    return f"there is no such limit (what a table must never hold cannot be lifted); {hint}"
