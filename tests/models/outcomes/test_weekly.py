"""What users did in the weeks of an experiment, and its sums per slice: against the rules in plain Python."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from conf.ids import arm_of
from models.experiment.cells import SliceCells, metrics_among
from models.experiment.metric import Metric
from models.experiment.moments import Slice, slices_at
from models.outcomes.basis import Basis
from models.outcomes.rows import answers_of
from models.outcomes.slices import PartialCells, slice_cells
from models.outcomes.weekly import Week, weekly_rows
from tests.models.outcomes.brute import DAY
from tests.models.outcomes.test_outcomes import CATEGORIES, ENGAGING, SETTINGS, START, done_rows, exposures, worlds
from tests.models.outcomes.weekly_brute import Rows, sums_brute, weekly_brute

LAST = 3
WEEKS = [Week(number, (START + 2 * number * DAY).date(), days=2) for number in range(LAST + 1)]
SLICES = slices_at([1_000, 5_000, 8_000])
_ROW = pa.schema([("user_id", pa.int64()), ("week", pa.int32()), ("metric", pa.string()), ("x", pa.float64())])


def audience_of(group: int) -> set[tuple[int, int]] | None:
    """Group 0: by activity. Group 1: some enter late, some leave, some never come; one of them nobody knows else."""
    if group == 0:
        return None
    chance = random.Random(2)
    users = [*sorted({one.user for one in worlds(group)[0]}), 999_999]
    return {(user, week) for user in users for week in range(1, LAST + 1) if chance.random() < 0.25 * (week + 1)}


@pytest.fixture(scope="module")
def wanted() -> list[Rows]:
    """The rows of each group by the rules in plain Python."""
    return [
        weekly_brute(*worlds(group), audience_of(group), WEEKS, SETTINGS[group], ENGAGING, CATEGORIES)
        for group in range(len(SETTINGS))
    ]


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> list[list[dict[str, Any]]]:
    """The rows of each group as Spark makes them."""
    known = pa.table({"source_id": list(CATEGORIES), "category": pa.array(CATEGORIES.values(), pa.string())})
    results = []
    for group, settings in enumerate(SETTINGS):
        (asked, done), pairs = worlds(group), audience_of(group)
        there = None
        if pairs is not None:
            there = spark.createDataFrame(pa.Table.from_pylist([{"user_id": u, "week": w} for u, w in pairs]))
        answers, events = answers_of(exposures(spark, asked)), done_rows(spark, done)
        categories = spark.createDataFrame(known)
        rows = weekly_rows(answers, events, there, WEEKS, Basis.ANSWERED, settings, categories)
        results.append(rows.toArrow().to_pylist())
    return results


@pytest.mark.parametrize("group", range(len(SETTINGS)))
def test_no_row_of_a_user_differs_from_the_rules_in_plain_python(wanted: Any, found: Any, group: int) -> None:
    rows = {(row["user_id"], row["week"], row["metric"]): row["x"] for row in found[group]}
    assert len(rows) == len(found[group]), "each once"
    assert rows == wanted[group]
    names = {Metric.parse(metric).name for _, _, metric in rows}
    assert names >= {"hits", "listed_new", "owned_new", "owned_amount", "amount", "seen", "audience"}


def table_of(rows: Rows) -> pa.Table:
    """Rows of users as they are stored, sorted by user."""
    keys = sorted(rows, key=lambda key: key[0])
    return pa.Table.from_pylist([{"user_id": u, "week": w, "metric": m, "x": rows[u, w, m]} for u, w, m in keys], _ROW)


def summed(rows: Rows, salt: str, batch: int) -> list[SliceCells]:
    """The sums as a partition makes them, from batches of a size."""
    table, found = table_of(rows), [SliceCells(LAST) for _ in SLICES]
    arms = [arm_of(user, salt) for user in table["user_id"].to_pylist()]
    places = [next(i for i, one in enumerate(SLICES) if one.low_bp <= arm < one.high_bp) for arm in arms]
    batches = table.append_column("slice", pa.array(places, pa.int32())).to_batches(batch)
    for part in PartialCells(LAST, rows=batch)(iter(batches)):
        for row in part.to_pylist():
            found[row["slice"]].matrix(row["name"]).ravel()[row["place"]] += (row["high"] << 48) + row["low"]
    return found


def assert_sums(cells: SliceCells, rows: Rows, salt: str, one: Slice, text: str) -> None:
    """The moments are the sums of the rules, rounded once."""
    metric = Metric.parse(text)
    parts = [(name, Metric.parse(name).unit) for name in metric.parts or (text,)]
    users, totals, products = sums_brute(rows, LAST, salt, one, parts)
    moments = cells.moments(text)
    assert moments.n == users
    assert moments.total.tolist() == [float(value) for value in totals]
    assert moments.products.tolist() == [[float(value) for value in row] for row in products]


@pytest.mark.parametrize("number", range(1, 21))
def test_no_sum_of_a_world_differs_from_the_rules_in_plain_python(wanted: Any, number: int) -> None:
    """A world has few users: often a slice has nobody, or nobody who did anything. Robots are in no sum."""
    chance = random.Random(number)
    every = wanted[(number - 1) % 2]
    rows = {key: x for key, x in every.items() if key[0] // 1000 == number}
    rows[number * 1000, 1, "amount:event=watch"] = chance.choice([-0.1, 1e9, 2.0**-20, 12.3])
    salt = f"salt {number}"
    cells = summed(rows, salt, batch=chance.randint(1, 40))
    for one, of_slice in zip(SLICES, cells, strict=True):
        for text in metrics_among(cells):
            assert_sums(of_slice, rows, salt, one, text)
        for counted, metric in (("first seen", "seen"), ("joined", "audience")):
            some = {(user, week) for user, week, name in rows if name == metric and week}
            first = {user: min(w for u, w in some if u == user) for user, _ in some}
            here = [week for user, week in first.items() if one.low_bp <= arm_of(user, salt) < one.high_bp]
            assert of_slice.by_week(counted) == [here.count(week) for week in range(LAST + 1)]


def test_spark_adds_up_the_same_whatever_the_partitions(spark: SparkSession, wanted: Any) -> None:
    rows = wanted[0]
    table = spark.createDataFrame(table_of(rows))
    cells = slice_cells(table, "s", SLICES, LAST)
    other = slice_cells(table.repartition(7, "metric"), "s", SLICES, LAST)
    metrics = metrics_among(cells)
    assert sum(sum(one.by_week("robots")) for one in cells) > 0
    for place, one in enumerate(SLICES):
        for text in metrics:
            assert cells[place].moments(text).to_bytes() == other[place].moments(text).to_bytes()
        for text in ("hits/answers", "owned_amount:event=watch"):
            assert_sums(cells[place], rows, "s", one, text)


def test_nobody_and_a_constant_have_sums(spark: SparkSession) -> None:
    rows: Rows = {(user, week, name): 1.0 for user in range(50) for week in (1, 2) for name in ("audience", "answers")}
    cells = summed(rows, "s", batch=10)
    whole = [one.moments("answers") for one in cells]
    assert sum(one.n for one in whole) == 50
    assert all(np.array_equal(one.total[[2, 3]], [one.n, one.n]) for one in whole)
    nobody = SliceCells(LAST)
    assert (nobody.moments("hits/answers").n, nobody.by_week("robots")) == (0, [0] * (LAST + 1))
    empty = slice_cells(
        spark.createDataFrame([], "user_id bigint, week int, metric string, x double"), "s", SLICES, LAST
    )
    assert [one.moments("hits").n for one in empty] == [0] * len(SLICES)
