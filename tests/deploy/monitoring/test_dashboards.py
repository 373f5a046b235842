"""The dashboards are what the table says, Grafana can read them, and each query is of metrics that there are."""

import re
import subprocess
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import dashboards
from deploy.monitoring.alerts import read_alerts
from deploy.monitoring.grafana import COLUMNS
from jobs.export.metrics import ALL
from publish.metric import PRODUCT
from tests.deploy.monitoring.asked import DASHBOARDS, Asked, panels, queries
from tests.support.tools import tool

MONITORING = Path(dashboards.__file__).parent
METRICS = {name: metric for metric in ALL for name in metric.names}
UNITS = {"short", "s", "bytes", "percentunit", "reqps", "cps", "suffix: days"}
EACH = pytest.mark.parametrize("name", DASHBOARDS)


def test_files_are_up_to_date() -> None:
    made = dict(dashboards.files())
    kept = {file.name: file.read_text(encoding="utf-8") for file in dashboards.FOLDER.iterdir()}
    assert kept == made, "run `make dashboards`"


def test_the_runbook_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["dashboards", "--runbook", "https://wiki/runbook", "--out", str(tmp_path)])
    dashboards.main()
    assert '"query": "https://wiki/runbook"' in (tmp_path / "serving.json").read_text()


@EACH
def test_grafana_finds_what_its_model_names(name: str) -> None:
    made = DASHBOARDS[name]
    assert made["schemaVersion"] == 39
    assert re.fullmatch(r"[a-z-]{8,40}", made["uid"])
    assert [one["name"] for one in made["templating"]["list"]] == ["datasource", "product", "runbook"]
    assert len(made["links"]) == len(DASHBOARDS) - 1
    assert {one["url"].removeprefix("/d/") for one in made["links"]} <= {one["uid"] for one in DASHBOARDS.values()}
    ids = [panel["id"] for panel in made["panels"]]
    assert len(set(ids)) == len(ids)


@EACH
def test_panels_do_not_overlap(name: str) -> None:
    places = [panel["gridPos"] for panel in DASHBOARDS[name]["panels"]]
    assert all(one["x"] >= 0 and one["w"] > 0 and one["h"] > 0 for one in places)
    assert all(one["x"] + one["w"] <= COLUMNS for one in places)
    assert not [(one, two) for one, two in combinations(places, 2) if _overlap(one, two)]


@pytest.mark.parametrize(("name", "panel"), [pytest.param(*one, id=f"{one[0]}-{one[1]['id']}") for one in panels()])
def test_each_panel_says_what_it_shows(name: str, panel: Mapping[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters) > 0
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert [one["value"] for one in steps[1:]] == sorted(one["value"] for one in steps[1:])
    if panel["type"] == "timeseries":
        assert all(target["legendFormat"] != "__auto" for target in panel["targets"])
    if panel["type"] == "table":
        columns = panel["transformations"][1]["options"]["renameByName"]
        named = [one for one in columns if one.startswith("Value #")]
        assert len(named) == len(letters)
        overridden = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
        assert overridden == {columns[one] for one in named}


@pytest.mark.parametrize("asked", [pytest.param(one, id=one.where) for one in queries()])
def test_queries_name_metrics_and_labels_that_there_are(asked: Asked) -> None:
    known = {PRODUCT, "le"}
    for name, matchers in asked.metrics:
        assert name in METRICS, name
        labels = METRICS[name].labels
        known |= set(labels)
        for label, values in matchers.items():
            assert label == PRODUCT or set(values) <= set(labels.get(label, ())), (name, label, values)
    if "ALERTS" in asked.expr:  # Prometheus' own
        known |= {"alertname", "severity"}
    else:
        assert asked.metrics
    assert asked.grouped <= known
    assert set(re.findall(r"{{(\w+)}}", asked.legend)) <= asked.grouped


def test_prometheus_takes_all_queries_and_settings(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": asked.filled("demo", "1m")} for number, asked in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    promtool = tool("promtool")
    for words in (["check", "rules", file], ["check", "config", MONITORING / "prometheus.yml"]):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_is_told_of_prometheus_and_of_the_dashboards() -> None:
    sources, providers = (
        yaml.safe_load((MONITORING / "grafana" / f"{name}.yml").read_text()) for name in ("datasources", "dashboards")
    )
    assert [one["type"] for one in sources["datasources"]] == ["prometheus"]
    assert [one["options"]["path"] for one in providers["providers"]] == ["/etc/grafana/dashboards"]
    scraping = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    longest = max(one.get("scrape_interval", "15s") for one in scraping["scrape_configs"])
    assert sources["datasources"][0]["jsonData"]["timeInterval"] == longest


def test_links_lead_to_alerts_that_there_are() -> None:
    named = {link["tooltip"] for _, panel in panels() for link in panel["links"]}
    assert named <= {alert.name for alert in read_alerts()}


def _overlap(one: Mapping[str, int], two: Mapping[str, int]) -> bool:
    beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
    return not beside and one["y"] < two["y"] + two["h"] and two["y"] < one["y"] + one["h"]
