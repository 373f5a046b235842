"""Asks promtool which alerts fire when: series over time go in, what does not fire as expected comes out."""

import json
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deploy.monitoring.alerts import Alert

Labels = Mapping[str, str]
"""All labels of an alert that fires."""

STEP = 30
"""Seconds between two samples of a deployment (deploy/monitoring/prometheus.yml)."""
_DIFFERENCE = re.compile(r"name: (?P<history>.*),\s+alertname: (?P<alert>\w+), time: (?P<at>\w+),")


class Moment(NamedTuple):
    """What must fire at a time; alerts that it does not name are not looked at."""

    at: int
    """Seconds since the first sample."""
    firing: Mapping[str, Sequence[Labels]]
    """Alert → labels of each that fires; none: it must not."""


@dataclass(frozen=True)
class History:
    """Series over time, whose first sample is at 1970-01-01, and what must fire."""

    name: str
    series: Mapping[str, str]
    """Series → its samples, in promtool's notation."""
    moments: Sequence[Moment]


class Difference(NamedTuple):
    """An alert that fires and must not, or must and does not, or with other labels."""

    history: str
    alert: str
    at: str
    told: str
    """What promtool says of it."""


class RulesFailed(Exception):
    """Rules that Prometheus cannot evaluate, or a file that promtool does not take."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.alerts = frozenset(re.findall(r"rule: (\w+), time: \w+, err:", told))
        """Those of which it says so."""


def differences(
    promtool: str,
    alerts: Collection[Alert],
    histories: Iterable[History],
    *,
    step: int = STEP,
    annotated: bool = False,
) -> list[Difference]:
    """Returns each alert that fires otherwise than expected; raises RulesFailed.

    There are `step` seconds between two samples, and between two evaluations. `annotated`: it tells annotations, too.
    """
    with tempfile.TemporaryDirectory(prefix="rules-") as folder:
        rules, tests = Path(folder, "rules.yml"), Path(folder, "tests.yml")
        groups = [{"name": "rules", "rules": [alert.rule(annotated=annotated) for alert in alerts]}]
        rules.write_text(json.dumps({"groups": groups}))  # JSON is YAML, and quick
        said = [{"interval": f"{step}s", **_test(alerts, history)} for history in histories]
        tests.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": f"{step}s", "tests": said}))
        ended = subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)
    blocks = re.split(r"\n(?=    name: )", ended.stdout + ended.stderr)
    found = [
        Difference(match["history"], match["alert"], match["at"], block)
        for block in blocks
        if (match := _DIFFERENCE.search(block))
    ]
    failed = RulesFailed(ended.stdout + ended.stderr)
    if failed.alerts or (ended.returncode and not found):
        raise failed
    return found


def _test(alerts: Collection[Alert], history: History) -> dict[str, Any]:
    return {
        "name": history.name,
        "input_series": [{"series": name, "values": values} for name, values in history.series.items()],
        "alert_rule_test": [
            _expected(alert, moment) for moment in history.moments for alert in alerts if alert.name in moment.firing
        ],
    }


def _expected(alert: Alert, moment: Moment) -> dict[str, Any]:
    firing = [{"exp_labels": dict(labels)} for labels in moment.firing[alert.name]]
    return {"eval_time": f"{moment.at}s", "alertname": alert.name, "exp_alerts": firing}
