"""Faults that names, markers and footers give away: told before Spark is needed, and before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.stages.features import build_features
from tests.e2e.conftest import LAST, Literal, write_day
from tests.e2e.product import Make, Product
from tests.e2e.refusals import FIRST, clicks_of, refused
from tests.features.world import ago

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Spoil = Callable[[Path], object]


def day_of(product: Product, days_ago: int = 2) -> Path:
    return clicks_of(product) / f"dt={ago(days_ago)}"


def rewrite(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def retype(column: str, type_: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        return rows.set_column(rows.schema.names.index(column), column, rows[column].cast(type_))

    return change


def truncate(day: Path) -> None:
    file = day / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-20])


def empty_all(day: Path) -> None:
    for file in day.parent.rglob("*.parquet"):
        rewrite(file, lambda rows: rows.slice(0, 0))


def age_all(day: Path) -> None:
    for folder in list(day.parent.iterdir()):
        folder.rename(folder.with_name(folder.name.replace("2026", "2025")))


def rename_user(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["userid", *rows.schema.names[1:]])


DAY, FILE = f"{ago(2)}", f"dt={ago(2)}/part-0.parquet"
FILES: dict[str, tuple[Spoil, tuple[str, ...]]] = {  # fault → what happens to the day before yesterday, what is said
    "missing dataset folder": (
        lambda day: shutil.rmtree(day.parent),
        ("'clicks' does not exist", "/clicks; correct the path or run its export"),
    ),
    "no partition in the window": (
        age_all,
        ("'clicks'", "nothing to read: 3 missing", "Let the export run, or correct the path"),
    ),
    "empty partitions": (empty_all, ("'clicks'", "nothing to read: 3 empty", "Let the export run")),
    "one day missing": (shutil.rmtree, (f"1 missing: {DAY}", "set on_missing to wait or shrink")),
    "no _SUCCESS": (lambda day: (day / "_SUCCESS").unlink(), ("unfinished (no _SUCCESS)", DAY, "Let the export run")),
    "truncated file": (truncate, ("'clicks'", FILE, "truncated or no Parquet file: write the day again")),
    "missing column": (
        lambda day: rewrite(day / "part-0.parquet", lambda rows: rows.drop_columns("ts")),
        (FILE, "no column 'ts'", "set columns.ts of dataset 'clicks'"),
    ),
    "renamed column": (
        lambda day: rewrite(day / "part-0.parquet", rename_user),
        (FILE, "no column 'user_id', near it: 'userid'", "set columns.user_id of dataset 'clicks'"),
    ),
    "wrong type": (
        lambda day: rewrite(day / "part-0.parquet", retype("ts", pa.int64())),
        (FILE, "column 'ts' is int64, must be a timestamp"),
    ),
    "compression without a codec": (
        lambda day: pq.write_table(pq.read_table(day / "part-0.parquet"), day / "part-0.parquet", compression="brotli"),
        (FILE, "column 'user_id' is compressed by BROTLI", "write it by zstd"),
    ),
    "columns that differ by case": (
        lambda day: rewrite(day / "part-0.parquet", lambda rows: rows.append_column("TS", rows["ts"])),
        (FILE, "column 'ts' is there as 'TS' too", "rename one"),
    ),
    "lost link": (
        lambda day: (day / "part-1.parquet").symlink_to("gone"),
        (f"dt={ago(2)}/part-1.parquet is a link to what is not there",),
    ),
    "nearly a day": (
        lambda day: day.rename(day.with_name(day.name.replace("-", ""))),
        (f"1 missing: {DAY}", f"'dt={DAY.replace('-', '')}' (write dt={DAY})"),
    ),
    "Delta table": (
        lambda day: (day.parent / "_delta_log").mkdir(),
        ("'clicks'", "is a Delta table", "export it as plain Parquet"),
    ),
    "dataset that is a file": (
        lambda day: (shutil.rmtree(day.parent), day.parent.touch()),
        ("'clicks' is not a folder", "let the path name the folder"),
    ),
    "wrong kind of ids": (
        lambda day: rewrite(day / "part-0.parquet", retype("user_id", pa.string())),
        (FILE, "column 'user_id' is string, must be an integer", "the kind of ids that its `ids` says"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILES)
def test_files_that_names_and_footers_give_away(make: Make, fault: str) -> None:
    product, (spoil, said) = make(), FILES[fault]
    spoil(day_of(product))
    ended = refused(product, said=said)
    (run,) = product.run_ids
    assert product.manifest(run).stages == {}
    assert product.manifest(run).failure is not None
    assert run in ended.log  # to go on with, once the input is right
    assert not (product.home / "partials").exists()
    dry = product.run("--as-of", str(LAST), "--dry-run")
    assert dry.code == 2
    assert [words for words in said if words not in dry.log] == []


def test_wait_comes_back_later(make: Make) -> None:
    product = make(on_missing="wait")
    shutil.rmtree(day_of(product))
    refused(product, code=75, said=(f"1 missing: {DAY}", "Run again when they have arrived"))


def test_shrink_has_a_limit(make: Make) -> None:
    product = make(on_missing="shrink", max_missing_days=1)
    shutil.rmtree(day_of(product, 1))
    shutil.rmtree(day_of(product, 2))
    refused(product, said=(f"2 missing: {ago(2)}, {ago(1)}", "At most 1 may be (max_missing_days)"))


def test_shrink_goes_on_and_says_so(make: Make, shared_spark: "SparkSession") -> None:
    product = make(on_missing="shrink", max_missing_days=1)
    shutil.rmtree(day_of(product))
    ended = product.run(*FIRST, work=build_features)
    assert ended.code == 0, ended.log
    (record,) = product.manifest(product.run_ids[0]).fact("features", "inputs")
    assert record["missing"] == [DAY]
    assert [day["day"] for day in record["days"]] == [str(ago(3)), str(ago(1))]


def test_int_ids_in_one_dataset_and_strings_in_another(make: Make) -> None:
    product = make()
    days = {number: retype("source_id", pa.string())(rows) for number, rows in Literal.crowd().items()}
    for number, rows in days.items():
        write_day(clicks_of(product).parent / "joins" / f"dt={ago(number)}", rows)
    joins = {"path": "joins", "window": "3 days ago:today"}
    both = product.change({"datasets": {"events": {"joins": joins}}})
    refused(both, said=("'joins'", "column 'source_id' is string, must be an integer", "the kind of ids"))


def test_an_empty_window(make: Make) -> None:
    refused(make(window="today:today"), said=("window", "is empty: its start must be before its end"))
