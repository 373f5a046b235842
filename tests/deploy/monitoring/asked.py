"""What the dashboards ask for, read from their JSON."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from deploy.monitoring.dashboards import FOLDER

_SELECTOR = re.compile(r"\b(discovery_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=|!~)"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|on|ignoring|without) \(([^)]*)\)")

DASHBOARDS = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}


class Asked(NamedTuple):
    """One query, and where it stands."""

    where: str
    expr: str
    legend: str

    def filled(self, product: str, interval: str) -> str:
        """Returns it as Grafana sends it."""
        return self.expr.replace("$product", product).replace("$__rate_interval", interval)

    @property
    def metrics(self) -> list[tuple[str, Mapping[str, list[str]]]]:
        """Each metric's name, with the values that its matchers name."""
        return [
            (name, {label: value.split("|") for label, _, value in _MATCHER.findall(matchers)})
            for name, matchers in _SELECTOR.findall(self.expr)
        ]

    @property
    def grouped(self) -> set[str]:
        """Labels by which it groups or matches."""
        return {label.strip() for labels in _GROUPED.findall(self.expr) for label in labels.split(",")} - {""}


def panels() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields each panel that draws something, with its dashboard."""
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                yield name, panel


def queries() -> Iterator[Asked]:
    """Yields every query: of panels, and of marks."""
    for name, panel in panels():
        for target in panel["targets"]:
            yield Asked(f"{name}: {panel['title']}: {target['refId']}", target["expr"], target["legendFormat"])
    for name, dashboard in DASHBOARDS.items():
        for one in dashboard["annotations"]["list"]:
            yield Asked(f"{name}: {one['name']}", one["expr"], "")
