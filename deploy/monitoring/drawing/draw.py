"""One page of a dashboard, of its JSON and of a Prometheus' answers.

`python -m deploy.monitoring.drawing.draw serving --prometheus URL --product NAME --out FILE`: for where there is no
Grafana. Lines, areas, numbers, words and tables are as Grafana would show them, in the house's colours.
"""

import argparse
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from deploy.monitoring.dashboards import DASHBOARDS, FOLDER
from deploy.monitoring.drawing.numbers import number_text
from deploy.monitoring.drawing.plots import Line, Span, lines_plot, states_plot
from deploy.monitoring.prometheus import Prometheus, Series
from jobs.pages.templates import templates

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_POINTS = 400
_STEPS = (60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
_COLUMN, _LINE = 62, 34
"""Width of one of Grafana's columns and height of one of its lines, in the units of a drawing."""
Json = Mapping[str, Any]
Cell = tuple[str, str]
"""A text and its colour."""


@dataclass(frozen=True)
class Looks:
    """How a panel, or a column of its table, writes a value."""

    unit: str
    decimals: int | None
    steps: Sequence[Json]
    words: Mapping[float, tuple[str, str]]

    @classmethod
    def of(cls, fields: Json) -> "Looks":
        """Returns them of a panel's JSON."""
        words = {
            float(value): (word["text"], word["color"])
            for mapping in fields.get("mappings", [])
            for value, word in mapping["options"].items()
        }
        return cls(fields["unit"], fields.get("decimals"), fields["thresholds"]["steps"], words)

    def cell(self, value: float) -> Cell:
        """Returns what is written for a value, and its colour."""
        if value in self.words:
            return self.words[value]
        color = [step["color"] for step in self.steps if step["value"] is None or value >= step["value"]][-1]
        return number_text(value, self.unit, self.decimals), color


@dataclass(frozen=True)
class Asker:
    """A Prometheus, and what Grafana fills into queries."""

    prometheus: Prometheus
    product: str
    span: Span

    def now(self, query: str) -> list[Series]:
        """Returns each series at the end of the span."""
        return self.prometheus.at(self._filled(query), self.span.last)

    def lines(self, target: Json, *, dashed: bool = False) -> list[Line]:
        """Returns each series of a panel's query over the span."""
        found = self.prometheus.between(self._filled(target["expr"]), self.span.first, self.span.last, self.span.step)
        return [
            Line(
                _named(target["legendFormat"], one["metric"]),
                [(float(at), float(value)) for at, value in one["values"] if value != "NaN"],
                dashed,
            )
            for one in found
        ]

    def _filled(self, query: str) -> str:
        interval = f"{max(round(self.span.step), 240)}s"
        return query.replace("$product", self.product).replace("$__rate_interval", interval)


@dataclass(frozen=True)
class Drawn:
    """A panel of the page."""

    panel: Json
    asker: Asker

    @property
    def width(self) -> int:
        """In columns of 24."""
        return int(self.panel["gridPos"]["w"])

    @cached_property
    def looks(self) -> Looks:
        """How it writes its values."""
        return Looks.of(self.panel["fieldConfig"]["defaults"])

    @cached_property
    def lines(self) -> list[Line]:
        """Its series over time."""
        dashed = {
            one["matcher"]["options"]
            for one in self.panel["fieldConfig"]["overrides"]
            if one["matcher"]["id"] == "byFrameRefID"
        }
        return [
            line
            for target in self.panel["targets"]
            for line in self.asker.lines(target, dashed=target["refId"] in dashed)
        ]

    @cached_property
    def number(self) -> Cell:
        """The newest value of a panel that is one number."""
        found = [float(one["value"][1]) for target in self.panel["targets"] for one in self.asker.now(target["expr"])]
        return self.looks.cell(found[-1]) if found else ("none", "text")

    @property
    def plot(self) -> Markup:
        """The drawing of a panel over time."""
        place = self.panel["gridPos"]
        size = (place["w"] * _COLUMN - 30, place["h"] * _LINE - 60)
        if self.panel["type"] == "state-timeline":
            return states_plot(self.lines, self.asker.span, size, self.looks.words)
        fields = self.panel["fieldConfig"]["defaults"]
        drawn = fields["custom"]
        limited = drawn["thresholdsStyle"]["mode"] != "off"
        return lines_plot(
            self.lines,
            self.asker.span,
            size,
            unit=self.looks.unit,
            limits=[step["value"] for step in self.looks.steps[1:]] if limited else (),
            ends=(drawn.get("axisSoftMin"), fields.get("max")),
            stacked=drawn["stacking"]["mode"] == "normal",
        )

    @property
    def newest(self) -> list[tuple[str, bool, str]]:
        """Of each series its name, whether it is dashed, and its newest value."""
        return [
            (line.name, line.dashed, self.looks.cell(line.points[-1][1])[0] if line.points else "–")
            for line in self.lines
        ]

    @cached_property
    def table(self) -> tuple[list[str], list[list[Cell]]]:
        """The headings and the lines of a table."""
        renamed = self.panel["transformations"][1]["options"]["renameByName"]
        label = next(name for name in renamed if not name.startswith("Value #"))
        columns = [Looks.of({"unit": "short", **_properties(one)}) for one in self.panel["fieldConfig"]["overrides"]]
        answers = [
            {one["metric"].get(label, ""): float(one["value"][1]) for one in self.asker.now(target["expr"])}
            for target in self.panel["targets"]
        ]
        keys = sorted({key for answer in answers for key in answer})
        cells = [
            [
                (key, "text"),
                *(
                    looks.cell(answer[key]) if key in answer else ("", "text")
                    for looks, answer in zip(columns, answers, strict=True)
                ),
            ]
            for key in keys
        ]
        return list(renamed.values()), cells


def draw(dashboard: Json, asker: Asker) -> str:
    """Returns the page of a dashboard; raises PrometheusFailed."""
    rows: list[tuple[str, list[Drawn]]] = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            rows.append((panel["title"], []))
        else:
            rows[-1][1].append(Drawn(panel, asker))
    text = _PAGES.get_template("page.html.j2").render(dashboard=dashboard, asker=asker, rows=rows)
    return text.strip() + "\n"


def span_of(dashboard: Json, prometheus: Prometheus, product: str, last: float) -> Span:
    """Returns the time that a dashboard shows when it is opened, and the promotions within; raises PrometheusFailed."""
    amount, unit = re.fullmatch(r"now-(\d+)(\w)", dashboard["time"]["from"]).groups()  # type: ignore[union-attr]
    seconds = int(amount) * _UNITS[unit]
    step = next(one for one in _STEPS if seconds / one <= 3 * _POINTS)
    last = last // step * step
    marks = set()
    for one in dashboard["annotations"]["list"]:
        for series in prometheus.between(one["expr"].replace("$product", product), last - seconds, last, step):
            marks |= {float(value) / 1000 for _, value in series["values"]}
    return Span(last - seconds, last, step, sorted(marks))


def read_dashboard(name: str) -> Json:
    """Returns the JSON of a dashboard."""
    found: Json = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)


def _properties(override: Json) -> dict[str, Any]:
    return {one["id"]: one["value"] for one in override["properties"]}


def _time_text(seconds: float) -> str:
    return time.strftime("%a %-d %b %Y %H:%M UTC", time.gmtime(seconds))


def _pages() -> Environment:
    made = templates(time_text=_time_text)
    own = PackageLoader("deploy.monitoring.drawing", "")
    return made.overlay(loader=ChoiceLoader([own, PackageLoader("jobs.pages", "")]))


_PAGES = _pages()


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description="draws a dashboard without a Grafana")
    parser.add_argument("dashboard", choices=[one.name for one in DASHBOARDS])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL", help="default: %(default)s")
    parser.add_argument("--product", required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    given = parser.parse_args()
    prometheus, dashboard = Prometheus(given.prometheus), read_dashboard(given.dashboard)
    span = span_of(dashboard, prometheus, given.product, time.time())
    given.out.write_text(draw(dashboard, Asker(prometheus, given.product, span)), encoding="utf-8")


if __name__ == "__main__":
    main()
