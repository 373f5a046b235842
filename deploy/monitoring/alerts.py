"""The alert rules of this folder, read as Prometheus reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class Alert:
    """One alert rule."""

    name: str
    expr: str
    wait: str
    """How long its expression must hold before it fires, as Prometheus writes it: `2m`."""
    severity: str
    annotations: Mapping[str, str]

    def rule(self, *, annotated: bool) -> dict[str, Any]:
        """Returns it as a rule, with annotations or without: they cost time and decide nothing."""
        rule = {"alert": self.name, "expr": self.expr, "for": self.wait, "labels": {"severity": self.severity}}
        return {**rule, "annotations": dict(self.annotations)} if annotated else rule


def read_alerts(folder: Path = RULES) -> tuple[Alert, ...]:
    """Returns all alerts of the rule files of a folder."""
    groups = (group for file in sorted(folder.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"])
    return tuple(
        Alert(rule["alert"], rule["expr"], rule.get("for", "0s"), rule["labels"]["severity"], rule["annotations"])
        for group in groups
        for rule in group["rules"]
    )
