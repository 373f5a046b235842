"""`--override NAME=REASON`: the expectations that an operator may lift."""

import difflib
from collections.abc import Mapping

from conf.gates import InputGate, InteractionGate, ListGate
from expectations.errors import OverrideRefused
from expectations.report import Gate

LIFTABLE: Mapping[Gate, frozenset[str]] = {
    "inputs": frozenset(InputGate.model_fields),
    "interactions": frozenset(InteractionGate.model_fields),
    "lists": frozenset(ListGate.model_fields),
}
"""The limits of each gate; expectations that are not limits are the contract of the table and always hold."""


def check_overrides(overrides: Mapping[str, str]) -> None:
    """Raises OverrideRefused unless every override (name → reason) names a limit and has a reason.

    Call it when the command line is read, so that hours of work do not end with a misspelt name.
    """
    known = frozenset().union(*LIFTABLE.values())
    for name, reason in overrides.items():
        if name not in known:
            raise OverrideRefused(f"--override {name}: {_refusal(name, known)}")
        if not reason.strip():
            raise OverrideRefused(f"--override {name}: the reason is empty; write --override {name}=REASON")


def _refusal(name: str, known: frozenset[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"the limits are {', '.join(sorted(known))}"
    return f"there is no such limit (what a table must never hold cannot be lifted); {hint}"
