"""The catalog over real Parquet folders: the contract, and what only files can do."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from features.errors import BrokenPartitionError
from jobs.catalog import RECORD, SparkCatalog
from jobs.storage import Storage
from tests.features.catalog_contract import CatalogContract, Make, record
from tests.features.world import ago, at, dataset, events, table


def no_spark() -> NoReturn:
    """What a dry run has instead of a session."""
    raise AssertionError("this must not need Spark")


def write_day(root: Path, day: dt.date, content: pa.Table | None) -> Path:
    """A day with its marker, or an unfinished one with a file that is still being written."""
    folder = root / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    if content is None:
        (folder / "part-0.parquet").write_bytes(b"PAR1 half")
    else:
        pq.write_table(content, folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
    return folder


def dry(tmp_path: Path) -> SparkCatalog:
    """A catalog that cannot start Spark."""
    return SparkCatalog(no_spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))


class TestSparkCatalog(CatalogContract):
    @pytest.fixture
    def make(self, spark: SparkSession, tmp_path: Path) -> Make:
        def build(tables: Mapping[str, Mapping[dt.date, pa.Table | None]]) -> SparkCatalog:
            for path, days in tables.items():
                (tmp_path / "data" / path).mkdir(parents=True, exist_ok=True)
                for day, content in days.items():
                    write_day(tmp_path / "data" / path, day, content)
            return SparkCatalog(lambda: spark, Storage(str(tmp_path / "data")), Storage(str(tmp_path / "partials")))

        return build

    def test_int96_times_of_spark_and_hive(self, make: Make, tmp_path: Path) -> None:
        catalog = make({"clicks": {}})
        folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
        pq.write_table(events(ago(1), (1, 2, "like")), folder / "part-0.parquet", use_deprecated_int96_timestamps=True)
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        (row,) = catalog.read(dataset(), parts, ("ts",)).selectExpr("unix_micros(ts) AS us").collect()
        assert row["us"] == int(at(ago(1)).timestamp()) * 1_000_000

    @pytest.mark.parametrize("type_", [pa.int8(), pa.int16(), pa.float32(), pa.decimal128(25, 2)])
    def test_numbers_of_every_width(self, make: Make, type_: pa.DataType) -> None:
        catalog = make({"clicks": {ago(1): pa.table({"weight": pa.array([3]).cast(type_)})}})
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        (row,) = catalog.read(dataset(), parts, ("weight",)).selectExpr("CAST(weight AS double) AS w").collect()
        assert row["w"] == 3.0

    def test_names_with_dots_and_dictionaries(self, make: Make) -> None:
        day = pa.table({"deck.id": pa.array([7], pa.int32()), "what": pa.array(["like"]).dictionary_encode()})
        catalog = make({"clicks": {ago(1): day}})
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        assert parts[0].files[0].schema.field("what").type == pa.string()
        (row,) = catalog.read(dataset(), parts, ("deck.id", "what")).collect()
        assert tuple(row) == (7, "like", ago(1))

    def test_a_dataset_elsewhere(self, make: Make, tmp_path: Path) -> None:
        catalog = make({"clicks": {}})
        write_day(tmp_path / "elsewhere", ago(1), events(ago(1), (7, 2, "like")))
        for path in (str(tmp_path / "elsewhere"), (tmp_path / "elsewhere").as_uri()):
            away = dataset(path=path)
            parts = catalog.partitions(away, catalog.days(away)).finished
            assert [row["user_id"] for row in catalog.read(away, parts, ("user_id",)).collect()] == [7]

    def test_files_that_differ_within_a_day(self, make: Make, tmp_path: Path) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 2, "like"))}})
        other = table(pa.schema([("extra", pa.string()), ("user_id", pa.int16())]), ("x", 7))
        pq.write_table(other, tmp_path / f"data/clicks/dt={ago(1)}/part-1.parquet")
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        rows = catalog.read(dataset(), parts, ("user_id", "event")).orderBy("user_id").collect()
        assert [tuple(row) for row in rows] == [(1, "like", ago(1)), (7, None, ago(1))]


def test_footers_need_no_spark_and_only_the_days_asked_for_are_opened(tmp_path: Path) -> None:
    root = tmp_path / "data/clicks"
    write_day(root, ago(1), events(ago(1), (1, 2, "like")))
    (write_day(root, ago(40), events(ago(40))) / "part-0.parquet").write_bytes(b"would be broken")
    catalog = dry(tmp_path)
    (part,) = catalog.partitions(dataset(), [ago(1), ago(2)]).finished
    assert (part.rows, part.bytes) == (1, (root / f"dt={ago(1)}/part-0.parquet").stat().st_size)
    assert catalog.days(dataset()) == (ago(40), ago(1))


@pytest.mark.parametrize("keep", [0, 4, -9])  # nothing, the first bytes, all but the last nine
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    file = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like"))) / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(BrokenPartitionError, match=rf"clicks.*dt={ago(1)}/part-0.parquet.*write the day again"):
        dry(tmp_path).partitions(dataset(), [ago(1)])


def test_a_folder_within_a_day_is_refused(tmp_path: Path) -> None:
    (write_day(tmp_path / "data/clicks", ago(1), events(ago(1))) / "hour=3").mkdir()
    with pytest.raises(BrokenPartitionError, match="hour=3 is a folder"):
        dry(tmp_path).partitions(dataset(), [ago(1)])


def test_hidden_files_and_other_folders_are_not_data(tmp_path: Path) -> None:
    root = tmp_path / "data/clicks"
    folder = write_day(root, ago(1), events(ago(1), (1, 2, "like")))
    for name in ("_committed_1", ".part-0.parquet.crc"):
        (folder / name).write_bytes(b"not Parquet")
    for name in ("dt=2026-02-31", "dt=__HIVE_DEFAULT_PARTITION__", "_temporary", "dt=2026-11-1"):
        (root / name).mkdir()
    catalog = dry(tmp_path)
    assert catalog.days(dataset()) == (ago(1),)
    assert len(catalog.partitions(dataset(), [ago(1)]).finished[0].files) == 1


def test_a_marker_of_another_name_or_none(tmp_path: Path) -> None:
    folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    (folder / "_SUCCESS").unlink()
    catalog = dry(tmp_path)
    assert catalog.partitions(dataset(), [ago(1)]).unfinished == (ago(1),)
    assert len(catalog.partitions(dataset(success_marker=None), [ago(1)]).finished) == 1
    (folder / "done").touch()
    with pytest.raises(BrokenPartitionError, match="done"):  # a marker that Spark would read as data
        catalog.partitions(dataset(success_marker=None), [ago(1)])
    assert len(catalog.partitions(dataset(success_marker="done"), [ago(1)]).finished[0].files) == 1


def test_rewriting_a_file_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    before = dry(tmp_path).partitions(dataset(), [ago(1)]).finished[0].fingerprint
    pq.write_table(events(ago(1), (1, 3, "like")), folder / "part-0.parquet")  # as long as before
    assert dry(tmp_path).partitions(dataset(), [ago(1)]).finished[0].fingerprint != before


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    store = dry(tmp_path).partials
    store.finish("clicks", [record(ago(1)), record(ago(2)), record(ago(3))])
    (tmp_path / f"partials/clicks/dt={ago(1)}" / RECORD).write_text("{")
    older = record(ago(3)).model_dump_json(exclude={"erased"})  # from before they were counted
    (tmp_path / f"partials/clicks/dt={ago(3)}" / RECORD).write_text(older)
    assert [kept.day for kept in store.finished("clicks", [ago(1), ago(2), ago(3)])] == [ago(2)]


def test_partials_that_were_changed_since_are_made_again_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, days = dry(tmp_path).partials, [ago(3), ago(2), ago(1)]
    files = [tmp_path / f"partials/clicks/dt={day}/part-0.parquet" for day in days]
    for file in files:
        file.parent.mkdir(parents=True)
        pq.write_table(events(ago(1), (1, 2, "like")), file)
    store.finish("clicks", [record(day) for day in days])
    assert [kept.day for kept in store.finished("clicks", days)] == days
    pq.write_table(events(ago(1), (1, 3, "like")), files[0])
    marker = files[1].parent / RECORD
    of_older_code = json.loads(marker.read_text())
    del of_older_code["sha256"]
    marker.write_text(json.dumps(of_older_code))
    assert [kept.day for kept in store.finished("clicks", days)] == [ago(1)]
    assert [kept.day for kept in store.noted("clicks", days)] == days, "nothing beside the records is read"
    (said,) = [entry.message for entry in caplog.records if entry.levelname == "WARNING"]
    assert f"partials of clicks, {ago(3)}: changed since they were made; they are made again" in said
