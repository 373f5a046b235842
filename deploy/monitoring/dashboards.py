"""The dashboards, on three levels: what is up (serving, job), what is good (quality), what people do (experiment).

`python -m deploy.monitoring.dashboards [--runbook URL] [--out FOLDER]` writes them as Grafana's JSON.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from deploy.monitoring.experiment import EXPERIMENT
from deploy.monitoring.grafana import grafana
from deploy.monitoring.job import JOB
from deploy.monitoring.quality import QUALITY
from deploy.monitoring.serving import SERVING

DASHBOARDS = (SERVING, JOB, QUALITY, EXPERIMENT)
FOLDER = Path(__file__).parent / "dashboards"
RUNBOOK = "docs/runbook.md"


def files(runbook: str = RUNBOOK) -> Iterator[tuple[str, str]]:
    """Yields the name of each dashboard's file, and its text."""
    for one in DASHBOARDS:
        yield f"{one.name}.json", json.dumps(grafana(one, DASHBOARDS, runbook), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description="writes the dashboards as Grafana's JSON")
    parser.add_argument("--runbook", default=RUNBOOK, metavar="URL", help="where docs/runbook.md is to be read")
    parser.add_argument("--out", default=FOLDER, type=Path, metavar="FOLDER", help="default: %(default)s")
    given = parser.parse_args()
    for name, text in files(given.runbook):
        (given.out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
