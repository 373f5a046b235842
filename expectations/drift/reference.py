"""The table of statistics in docs/drift.md: `python -m expectations.drift.reference < docs/drift.md` prints it anew."""

import sys
from itertools import groupby

from expectations.drift.statistics import STATISTICS, Statistic

MARK = "<!-- what follows is made by `make reference` of expectations/drift/statistics.csv -->"
_SUBJECTS = {
    "events": "`DATASET`, each dataset of events",
    "snapshot": "`DATASET`, each snapshot",
    "sources": "`sources`, beside those of every snapshot",
    "interactions": "`interactions`",
    "factors": "`factors`",
    "lists": "`lists`",
    "judged": "`judged`, the recipe on the hold-out",
    "served": "`served`, the model that serves on the new days",
}
_GRAINS = {"day": "each day", "week": "each week", "run": "each run"}


def reference(page: str) -> str:
    """Returns the page with the table of today's statistics after the mark. Raises ValueError if it has no mark."""
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"the page lacks the line {MARK}")
    return f"{head}{mark}\n{table()}"


def table() -> str:
    """Returns a Markdown table per kind of subject."""
    lines = []
    for kind, found in groupby(STATISTICS.values(), key=lambda one: one.kind):
        lines += [
            "",
            f"### {_SUBJECTS[kind]}",
            "",
            "| name | what | of | alarm | guards against |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [_row(one) for one in found]
        if kind == "events":
            lines.append(
                "| `share_of_EVENT` | share of an event name in events | each day | block | names swapped, lost |"
            )
    return "\n".join(lines) + "\n"


def _row(one: Statistic) -> str:
    sides = {"both": "", "low": ", if low", "high": ", if high"}[one.side]
    return f"| `{one.name}` | {one.label} | {_GRAINS[one.grain]} | {one.mode}{sides} | {one.harm} |"


if __name__ == "__main__":
    sys.stdout.write(reference(sys.stdin.read()))
