"""Where the reports of a run's gates are in its folder."""

from expectations.report import Gate

GATES: tuple[Gate, ...] = ("inputs", "interactions", "lists")
DRIFT_GATES: tuple[Gate, ...] = ("input_drift", "list_drift")
"""In the order in which a run passes them."""
CHAMPION_INTERACTIONS = "gate_champion_interactions.json"
"""Report of the gate `interactions` on what the champion's recipe reads, in its file."""
DRIFT_PAGE = "drift.html"
"""Name of the page of the drift gates."""


def report_file(gate: Gate) -> str:
    """Returns the name of a gate's report in the run's folder."""
    return f"gate_{gate}.json"
