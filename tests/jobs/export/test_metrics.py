"""The one table of metrics: its names, the page that is made of it, and the programs that export what it says."""

import ast
import re
from collections.abc import Iterable
from itertools import product as pairs
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family

import publish
from jobs.export.metrics import ALL, EXPORTER_METRICS, SOURCES
from jobs.export.reference import reference
from publish.exposures.log import Drop
from publish.load.loader_metrics import LOADER_METRICS, LoaderMetrics
from publish.metric import Metric
from publish.serve.metrics import LOOKUP_METRICS, ServeMetrics

DOCS = Path(publish.__file__).parents[1] / "docs"
SUBJECTS = ("serving", "run", "stage", "gate", "drift", "experiment", "redis", "loader", "lookup", "export")

Shape = tuple[str, str, set[tuple[tuple[str, str], ...]]]
"""Kind, help, and the sets of labels that there are."""


class Exposures:
    """What an exposure log counts."""

    logged, delivered = 9, 5
    dropped = dict.fromkeys(map(str, Drop), 1)


def shape_of(families: Iterable[Family]) -> dict[str, Shape]:
    """Name → what a program exports of it."""
    found = {}
    for one in families:
        names = {tuple(sorted(sample.labels.items())) for sample in one.samples if not sample.name.endswith("_bucket")}
        suffix = "_total" if one.type == "counter" else ""
        found[f"{one.name}{suffix}"] = (one.type, one.documentation, names)
    return found


def expected(metrics: Iterable[Metric], product: str) -> dict[str, Shape]:
    found = {}
    for one in metrics:
        sets = [dict(zip(one.labels, values, strict=True)) for values in pairs(*one.labels.values())]
        names = {tuple(sorted({"product": product, **labels}.items())) for labels in sets}
        found[one.name] = (one.kind, one.help, names)
    return found


def test_the_page_is_that_of_the_table() -> None:
    assert (DOCS / "metrics.md").read_text() == reference(), "make it anew: make reference"


def test_names_are_those_of_the_trade() -> None:
    names = [one.name for one in ALL]
    assert len(set(names)) == len(names)
    for one in ALL:
        assert re.fullmatch(rf"discovery_({'|'.join(SUBJECTS)})_[a-z_]+", one.name), one.name
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert not {"user", "source_id", "run", "run_id"} & set(one.labels), one.name
        assert not one.help.endswith("."), one.name
        assert one.help[0].isupper() or one.help[0].isdigit(), one.name
        assert "age" not in one.name.split("_") or one in LOOKUP_METRICS, one.name


def test_each_metric_has_one_source() -> None:
    of_sources = [one for metrics in SOURCES.values() for one in metrics]
    assert len(of_sources) == len({one.name for one in of_sources})
    assert {one.name for one in of_sources} < {one.name for one in EXPORTER_METRICS}


def test_the_loader_exports_what_the_table_says() -> None:
    metrics = LoaderMetrics("groups")
    metrics.set_healthy(healthy=True)
    metrics.set_lags([1, 2])
    assert shape_of(metrics.registry.collect()) == expected(LOADER_METRICS, "groups")


def test_the_look_up_service_exports_what_the_table_says() -> None:
    assert shape_of(looked_up().collect()) == expected(LOOKUP_METRICS, "groups")


def looked_up() -> CollectorRegistry:
    """The registry of a service in which everything has happened."""
    metrics, table = ServeMetrics("groups"), {one.name: one for one in LOOKUP_METRICS}
    seconds = table["discovery_lookup_seconds"].labels
    for route, outcome in pairs(seconds["route"], seconds["outcome"]):
        metrics.observe(route, outcome, 0.001)
    for kind in table["discovery_lookup_answers_total"].labels["kind"]:
        metrics.count_answer(kind)
    for word in table["discovery_lookup_problems_total"].labels["word"]:
        metrics.count_problem(word)
    metrics.set_state(1.0, 1, Exposures())
    return metrics._registry


def test_every_word_of_a_problem_is_in_the_table() -> None:
    words = next(one for one in LOOKUP_METRICS if one.name.endswith("problems_total")).labels["word"]
    said = set()
    for path in (Path(publish.__file__).parent / "serve").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                said.add(node.args[1])
    written = {one.value for one in said if isinstance(one, ast.Constant)}
    assert {"bad_n", "redis", "overloaded"} < written
    assert written - {"draining", "not_found"} <= set(words)  # of pages, not of look-ups
