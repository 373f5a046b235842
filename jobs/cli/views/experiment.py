"""How experiments look."""

import json
from collections.abc import Sequence
from typing import Any

from conf.diff import differences
from conf.experiment import Experiment
from jobs.cli.views.view import View, table, utc_text
from jobs.experiments.decisions import Approval, DecisionRecord, DecisionStore
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import SumsRecord, WeekStore, notes_on

_CONTROLS = {
    "none": "nothing of ours: the caller's own default",
    "popular": "popular sources, under the rules of lists",
    "pinned": "each week's lists by the recipe that served when it was opened",
}


def opened(experiment: Experiment, warnings: Sequence[str]) -> View:
    """Returns the answer to `open`."""
    lines = [f"experiment {experiment.name} is open; the next run is its first", _rows(experiment)]
    lines += [f"warning    {warning}" for warning in warnings]
    return View("\n".join(lines), _data(experiment) | {"warnings": list(warnings)})


def status(experiment: Experiment, store: ExperimentStore) -> View:
    """Returns the answer to `status`."""
    folder, sums = store.folder(experiment.name).uri, WeekStore.of(store, experiment.name).sums()
    newest = sums[max(sums)] if sums else None
    lines = [_rows(experiment), f"files      {folder}", f"weeks      {_measured(newest)}"]
    lines += [] if newest is None else [f"           {note}" for note in notes_on(newest)]
    ramp = DecisionStore.of(store, experiment.name)
    decisions, approvals = ramp.all(), ramp.approvals()
    lines += _ramped(decisions, approvals)
    data = None if newest is None else newest.model_dump(mode="json", exclude={"metrics", "file", "sha256", "inputs"})
    return View(
        "\n".join(lines),
        {
            **_data(experiment),
            "folder": folder,
            "measured": data,
            "decisions": [one.model_dump(mode="json") for one in decisions],
            "approvals": [one.model_dump(mode="json") for one in approvals],
        },
    )


def closed(experiment: Experiment) -> View:
    """Returns the answer to `close`."""
    text = f"experiment {experiment.name} is closed; the next run has no control, and recipes compete again"
    return View(text, _data(experiment))


def approved(experiment: Experiment, approval: Approval) -> View:
    """Returns the answer to `approve`."""
    text = (
        f"experiment {experiment.name}: the share may rise up to {approval.share_bp}, a step a week, if no guardrail "
        "minds; a decision that was made stays, the next one counts it"
    )
    return View(text, approval.model_dump(mode="json"))


def _ramped(decisions: Sequence[DecisionRecord], approvals: Sequence[Approval]) -> list[str]:
    """Returns lines about what was decided and approved, the newest decision last."""
    lines = [f"{'decided' if at == 0 else '':10} {one.as_of}: {one}" for at, one in enumerate(decisions)]
    if decisions and decisions[-1].enforced:
        lines += [f"           {done}" for done in decisions[-1].enforced]
    if approvals:
        most = approvals[-1]
        lines.append(f"approved   up to {most.share_bp}, by {most.who}, {utc_text(most.approved)} ({most.reason})")
    return lines


def _measured(newest: SumsRecord | None) -> str:
    if newest is None:
        return "none measured yet; jobs/measure_outcomes.py does so when week 1 is over"
    state = "; the last ones" if newest.final else ""
    return f"{newest.week} measured, up to {newest.weeks[-1].last}, {len(newest.metrics)} metrics{state}"


def _rows(experiment: Experiment) -> str:
    state = "open" if experiment.closed is None else f"closed {utc_text(experiment.closed)} ({experiment.reason})"
    rows = [
        ("name", experiment.name),
        ("product", experiment.product),
        ("state", state),
        ("opened", utc_text(experiment.opened)),
        ("first day", f"{experiment.first_day}"),
        ("salt", experiment.salt),
        ("treatment", f"recipe {experiment.treatment.hash[:16]}"),
        ("control", f"{experiment.control}: {_CONTROLS[experiment.control]}"),
    ]
    pinned = experiment.control_recipe
    if pinned is not None:
        rows.append(("", f"recipe {pinned.hash[:16]}; treatment and control differ in:"))
        found = differences(pinned.recipe, experiment.treatment.recipe)
        rows += [
            ("", f"  {name}: {pair[0]} in the control, {pair[1]} in the treatment") for name, pair in found.items()
        ]
    return table(rows)


def _data(experiment: Experiment) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(experiment.model_dump_json())
    return tree
