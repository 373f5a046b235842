"""How a reproduction looks: text for a person, and the same as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from jobs.cli.views.view import View, table
from jobs.reproduce.differences import Difference
from jobs.reproduce.reproduction import Reproduction
from jobs.reproduce.table_digest import TableComparison

_SHOWN = 12
"""Characters of a digest that a person sees."""


def reproduction(result: Reproduction) -> View:
    """Returns the verdict, below what it rests on."""
    made, request = result.manifest, result.manifest.request
    lines = [
        f"run      {request.run_id}, as of {request.as_of}, made by {made.code_version} on {made.created_at:%Y-%m-%d}"
    ]
    lines += [f"differs  {difference.what}: {difference.detail}" for difference in result.differences]
    if result.tables:
        lines.append(table([_row(one) for one in result.tables], ("table", "rows", "in the run", "made again", "")))
    if result.kept is not None:
        lines.append(f"kept     {result.kept}")
    data = {
        "run": request.run_id,
        "reproduced": result.reproduced,
        "verdict": _verdict(result),
        "differences": [asdict(difference) for difference in result.differences],
        "tables": [asdict(one) | {"same": one.same} for one in result.tables],
        "kept": result.kept,
    }
    return View("\n".join([*lines, f"verdict  {_verdict(result)}"]), data)


def _row(one: TableComparison) -> tuple[str, ...]:
    return one.name, f"{one.rows:,}", one.then[:_SHOWN], one.now[:_SHOWN], "same" if one.same else "DIFFERS"


def _verdict(result: Reproduction) -> str:
    if not result.tables:
        return f"not made again: {_first(result.differences)}; --anyway makes it again all the same"
    wrong = next((one for one in result.tables if not one.same), None)
    if wrong is None:
        *names, last = [one.name for one in result.tables]
        return f"reproduced: {', '.join(names)} and {last} are the same, bit for bit"
    found = wrong.differing
    where = "" if found is None else f" ({found.rows:,} of {found.of:,} rows, the first: {found.first})"
    return f"not reproduced: the first table that differs is {wrong.name}{where}; {_cause(result.differences)}"


def _cause(differences: Sequence[Difference]) -> str:
    if differences:
        return f"what differs in its making: {_first(differences)}"
    return "nothing differs in its making: the run's folder was changed, or this machine does not compute alike"


def _first(differences: Sequence[Difference]) -> str:
    return f"{differences[0].what}: {differences[0].detail}"
