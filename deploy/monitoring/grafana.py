"""Dashboards as the JSON that Grafana reads.

A row is filled from the left; a panel that does not fit into the columns any more begins a new line.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.monitoring.panels import Color, Dashboard, Kind, Panel, Query, Row, Steps, Words
from deploy.monitoring.queries import of

COLUMNS = 24
Json = dict[str, Any]
_SCHEMA_VERSION = 39
"""Of Grafana 10.3 and later, which reads it as it is; newer ones bring it up to date when they load it."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_ID = "discovery"
_PRODUCTS = "label_values(discovery_redis_up, product)"
"""The exporter has this metric of each product, also where nothing serves."""


def grafana(dashboard: Dashboard, others: Sequence[Dashboard], runbook: str) -> Json:
    """Returns a dashboard as Grafana's JSON, with links to the others and to the runbook at an address."""
    return {
        "uid": f"{_ID}-{dashboard.name}",
        "title": f"Discovery / {dashboard.title}",
        "description": dashboard.what,
        "tags": [_ID],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "refresh": dashboard.refresh,
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "links": [
            _link(other.title, f"/d/{_ID}-{other.name}", other.what, other_page=False)
            for other in others
            if other is not dashboard
        ],
        "templating": {"list": _variables(runbook)},
        "annotations": {"list": [_promotions()]},
        "panels": list(_placed(dashboard.rows)),
    }


def _variables(runbook: str) -> list[Json]:
    """Returns what stands above the panels: which Prometheus, which product, and where the runbook is."""
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "regex": "",
            "hide": 0,
            "refresh": 1,
            "multi": False,
            "includeAll": False,
            "options": [],
        },
        {
            "name": "product",
            "label": "Product",
            "type": "query",
            "datasource": _SOURCE,
            "definition": _PRODUCTS,
            "query": {"query": _PRODUCTS, "refId": "products"},
            "regex": "",
            "hide": 0,
            "refresh": 2,
            "sort": 1,
            "multi": False,
            "includeAll": False,
            "options": [],
        },
        {
            "name": "runbook",
            "label": "Runbook",
            "type": "constant",
            "query": runbook,
            "current": {"text": runbook, "value": runbook, "selected": False},
            "hide": 2,
            "skipUrlSync": True,
            "options": [],
        },
    ]


def _promotions() -> Json:
    """Returns the marks of promotions: the value of the series, in milliseconds, is the moment."""
    return {
        "name": "Promotions",
        "enable": True,
        "hide": False,
        "iconColor": "purple",
        "datasource": _SOURCE,
        "expr": f"{of('discovery_serving_since_timestamp_seconds')} * 1000",
        "useValueForTime": True,
        "titleFormat": "Promotion",
        "textFormat": "What serves the treatment changed: a promotion, or a way back.",
        "tagKeys": "",
        "step": "",
    }


def _link(title: str, url: str, tooltip: str, *, other_page: bool) -> Json:
    return {
        "type": "link",
        "title": title,
        "tooltip": tooltip,
        "url": url,
        "icon": "doc" if other_page else "dashboard",
        "asDropdown": False,
        "includeVars": not other_page,
        "keepTime": False,
        "targetBlank": other_page,
        "tags": [],
    }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    """Yields the headings and panels with their places and numbers."""
    number, top = 1, 0
    for row in rows:
        yield _heading(row.title, number, top)
        number, top = number + 1, top + 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield _panel(panel, number, place)
            number, left, height = number + 1, left + panel.width, max(height, panel.height)
        top += height


def _heading(title: str, number: int, top: int) -> Json:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    made: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [_target(panel, place, one) for place, one in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": _OPTIONS[panel.kind],
        "links": _links(panel),
    }
    if panel.kind == "table":
        made["transformations"] = _one_table(panel)
    return made


def _links(panel: Panel) -> list[Json]:
    if not panel.alert:
        return []
    return [_link("What to do", f"${{runbook}}#{panel.alert.lower()}", panel.alert, other_page=True)]


def _target(panel: Panel, place: int, query: Query) -> Json:
    now = panel.kind == "table"
    return {
        "refId": _letter(place),
        "datasource": _SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "range": not now,
        "instant": now,
        "format": "table" if now else "time_series",
    }


def _letter(place: int) -> str:
    return "ABCDEFGHIJKLMNOP"[place]


def _thresholds(steps: Steps, calm: Color) -> Json:
    found: list[Json] = [{"color": calm, "value": None}]
    return {"mode": "absolute", "steps": [*found, *({"color": color, "value": value} for value, color in steps)]}


def _mappings(words: Words) -> list[Json]:
    if not words:
        return []
    options = {
        f"{value:g}": {"text": text, "color": color, "index": place}
        for place, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def _defaults(panel: Panel) -> Json:
    """Returns what holds for every series of a panel."""
    drawn: Json = {}
    if panel.kind == "timeseries":
        drawn = {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 8,
            "showPoints": "auto",
            "spanNulls": False,
            "axisSoftMin": panel.low,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
        }
    elif panel.kind == "state-timeline":
        drawn = {"fillOpacity": 80, "lineWidth": 0}
    colors = "palette-classic" if panel.kind == "timeseries" else "thresholds"
    made: Json = {
        "unit": panel.unit,
        "color": {"mode": colors},
        "thresholds": _thresholds(panel.steps, panel.calm),
        "mappings": _mappings(panel.words),
        "noValue": "none",
        "custom": {name: value for name, value in drawn.items() if value is not None},
    }
    numbers = {"decimals": panel.decimals, "max": panel.high}
    return made | {name: value for name, value in numbers.items() if value is not None}


def _overrides(panel: Panel) -> Iterator[Json]:
    """Yields what holds for some series only: dashes of limits, and the columns of a table."""
    for place, query in enumerate(panel.queries):
        if query.dashed:
            dash = {"fill": "dash", "dash": [8, 6]}
            properties: list[Json] = [
                {"id": "custom.lineStyle", "value": dash},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
            ]
            yield {"matcher": {"id": "byFrameRefID", "options": _letter(place)}, "properties": properties}
    for column in panel.columns:
        properties = [
            {"id": "unit", "value": column.unit},
            {"id": "thresholds", "value": _thresholds(column.steps, column.calm)},
            {"id": "mappings", "value": _mappings(column.words)},
        ]
        if column.decimals is not None:
            properties.append({"id": "decimals", "value": column.decimals})
        if column.steps or column.words:
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        yield {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def _one_table(panel: Panel) -> list[Json]:
    """Returns the steps from one table a query to one table with a column a query."""
    names = {f"Value #{_letter(place)}": column.title for place, column in enumerate(panel.columns)}
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {"excludeByName": {"Time": True}, "renameByName": {panel.key: panel.key.capitalize(), **names}},
        },
    ]


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_OPTIONS: Mapping[Kind, Json] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "center",
        "orientation": "auto",
    },
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "state-timeline": {
        "legend": _LEGEND | {"showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
        "mergeValues": True,
        "showValue": "auto",
        "rowHeight": 0.85,
        "alignValue": "left",
    },
    "table": {"showHeader": True, "cellHeight": "sm"},
}
