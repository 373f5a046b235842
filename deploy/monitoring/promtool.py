"""Asks promtool which alerts fire when: series over time go in, what does not fire as expected comes out."""

import json
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from deploy.monitoring.alerts import Alert

Labels = Mapping[str, str]
"""All labels of an alert that fires."""

STEP = 30
"""Seconds between two samples of a deployment (deploy/monitoring/prometheus.yml)."""
_LOOKS = (
    'count by (alertname) (ALERTS{alertstate="firing",number!="%d"})',
    'count by (alertname) (last_over_time(ALERTS{alertstate="firing",number!="%d"}[10y]))',
    'count by (alertname) (last_over_time(ALERTS{number!="%d"}[10y]))',
)
"""What is asked for each field of Seen; the number, which no alert has, is in what promtool answers."""
_GOT = re.compile(r'number!=\\"(\d+)\\".*\n +exp: .*\n +got: (.*)')
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
    said = [_test(alerts, history) for history in histories]
    told, is_wrong = _run(promtool, alerts, said, step=step, annotated=annotated)
    blocks = re.split(r"\n(?=    name: )", told)
    found = [
        Difference(match["history"], match["alert"], match["at"], block)
        for block in blocks
        if (match := _DIFFERENCE.search(block))
    ]
    failed = RulesFailed(told)
    if failed.alerts or (is_wrong and not found):
        raise failed
    return found


@dataclass(frozen=True)
class Watch:
    """Series over time, and when somebody looks which alerts there are."""

    series: Mapping[str, str]
    """Series → its samples, in promtool's notation."""
    looks: Sequence[int]
    """Seconds since the first sample."""


class Seen(NamedTuple):
    """What somebody sees who looks."""

    now: frozenset[str]
    """Alerts that fire."""
    ever: frozenset[str]
    """Alerts that fired at any time until now."""
    pending: frozenset[str]
    """Alerts whose expression held at any time until now."""


def seen(promtool: str, alerts: Collection[Alert], watches: Sequence[Watch], *, step: int = STEP) -> list[list[Seen]]:
    """Returns what is seen at each look of each watch; raises RulesFailed.

    There are `step` seconds between two samples, and between two evaluations.
    """
    number, tests = count(), []
    for watch in watches:
        looks = [(at, look, next(number)) for at in watch.looks for look in _LOOKS]
        expected = [{"expr": look % asked, "eval_time": f"{at}s", "exp_samples": []} for at, look, asked in looks]
        tests.append({"input_series": _input(watch.series), "promql_expr_test": expected})
    told, is_wrong = _run(promtool, alerts, tests, step=step, annotated=False)
    got = {int(asked): frozenset(re.findall(r'alertname="(\w+)"', names)) for asked, names in _GOT.findall(told)}
    if is_wrong and not got:
        raise RulesFailed(told)
    found = iter([got.get(asked, frozenset()) for asked in range(next(number))])
    return [[Seen(next(found), next(found), next(found)) for _ in watch.looks] for watch in watches]


def _run(
    promtool: str, alerts: Collection[Alert], tests: Iterable[Mapping[str, Any]], *, step: int, annotated: bool
) -> tuple[str, bool]:
    """Returns what promtool says of tests, and whether something is wrong."""
    with tempfile.TemporaryDirectory(prefix="rules-") as folder:
        rules, file = Path(folder, "rules.yml"), Path(folder, "tests.yml")
        groups = [{"name": "rules", "rules": [alert.rule(annotated=annotated) for alert in alerts]}]
        rules.write_text(json.dumps({"groups": groups}))  # JSON is YAML, and quick
        said = [{"interval": f"{step}s", **test} for test in tests]
        file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": f"{step}s", "tests": said}))
        ended = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr, ended.returncode != 0


def _input(series: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def _test(alerts: Collection[Alert], history: History) -> dict[str, Any]:
    return {
        "name": history.name,
        "input_series": _input(history.series),
        "alert_rule_test": [
            _expected(alert, moment) for moment in history.moments for alert in alerts if alert.name in moment.firing
        ],
    }


def _expected(alert: Alert, moment: Moment) -> dict[str, Any]:
    firing = [{"exp_labels": dict(labels)} for labels in moment.firing[alert.name]]
    return {"eval_time": f"{moment.at}s", "alertname": alert.name, "exp_alerts": firing}
