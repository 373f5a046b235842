"""The catalog over real Parquet folders: the contract, and what only files can do."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from features.errors import BrokenPartitionError
from jobs.storage.dataset_names import PARTIAL_RECORD as RECORD
from jobs.storage.dataset_names import is_hidden
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from tests.features.catalog_contract import CatalogContract, Make, record
from tests.features.world import ago, at, dataset, events, table
from tests.jobs.days import dry, write_day
from tests.support.odd_names import ODD

DATA = f"data {ODD}"
SPECIAL = "*?[]{}\\:%#&+=,;'\"`$~|^<>()!@._- 01aüЖ日😀\n\t"
NAMES = st.one_of(
    st.text(st.sampled_from(SPECIAL), min_size=1, max_size=12),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12),
)


class TestSparkCatalog(CatalogContract):
    @pytest.fixture
    def make(self, spark: SparkSession, tmp_path: Path) -> Make:
        def build(tables: Mapping[str, Mapping[dt.date, pa.Table | None]]) -> SparkCatalog:
            for path, days in tables.items():
                (tmp_path / DATA / path).mkdir(parents=True, exist_ok=True)
                for day, content in days.items():
                    write_day(tmp_path / DATA / path, day, content)
            partials = Storage(str(tmp_path / f"partials {ODD}"))
            return SparkCatalog(lambda: spark, Storage(str(tmp_path / DATA)), partials)

        return build

    def test_int96_times_of_spark_and_hive(self, make: Make, tmp_path: Path) -> None:
        catalog = make({"clicks": {}})
        folder = write_day(tmp_path / DATA / "clicks", ago(1), events(ago(1), (1, 2, "like")))
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
        folder = tmp_path / f"elsewhere {ODD}"
        write_day(folder, ago(1), events(ago(1), (7, 2, "like")))
        for path in (str(folder), folder.as_uri(), folder.as_uri().replace("file://", "FILE://localhost")):
            away = dataset(path=path)
            parts = catalog.partitions(away, catalog.days(away)).finished
            assert [row["user_id"] for row in catalog.read(away, parts, ("user_id",)).collect()] == [7]

    def test_files_that_differ_within_a_day(self, make: Make, tmp_path: Path) -> None:
        catalog = make({"clicks": {ago(1): events(ago(1), (1, 2, "like"))}})
        other = table(pa.schema([("extra", pa.string()), ("user_id", pa.int16())]), ("x", 7))
        pq.write_table(other, tmp_path / DATA / f"clicks/dt={ago(1)}/part-1.parquet")
        parts = catalog.partitions(dataset(), [ago(1)]).finished
        rows = catalog.read(dataset(), parts, ("user_id", "event")).orderBy("user_id").collect()
        assert [tuple(row) for row in rows] == [(1, "like", ago(1)), (7, None, ago(1))]


def test_a_record_keeps_its_settings_hash_under_the_name_of_before(tmp_path: Path) -> None:
    store = dry(tmp_path).partials
    store.finish("clicks", [record(ago(1))])
    kept = json.loads((tmp_path / f"partials/clicks/dt={ago(1)}" / RECORD).read_text())
    assert (kept["recipe"], "settings_hash" in kept) == ("r", False)
    assert [one.settings_hash for one in store.recorded("clicks", [ago(1)])] == ["r"]


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
    assert [kept.day for kept in store.recorded("clicks", days)] == days, "nothing beside the records is read"
    (said,) = [entry.message for entry in caplog.records if entry.levelname == "WARNING"]
    assert f"partials of clicks, {ago(3)}: changed since they were made; they are made again" in said


def test_some_users_are_from_all_over_sorted_files(tmp_path: Path) -> None:
    folder = tmp_path / f"partials/clicks/dt={ago(1)}"
    folder.mkdir(parents=True)
    for first in (0, 1000):
        users = pa.table({"user_id": pa.array(range(first, first + 1000))})
        pq.write_table(users, folder / f"part-{first}.parquet", row_group_size=10)  # 200 groups
    some = dry(tmp_path).partials.some_users("clicks", ago(1), 64)
    assert 64 <= len(some) <= 128
    assert [sum(user // 500 == quarter for user in some) for quarter in range(4)] == [len(some) // 4] * 4
    assert dry(tmp_path).partials.some_users("clicks", ago(2), 64) == []


def rows_by_day(frame: DataFrame) -> dict[dt.date, int]:
    """Day → rows that Spark reads."""
    return {row["dt"]: row["count"] for row in frame.groupBy("dt").count().collect()}


@examples(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(names=st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=60, max_size=80, unique=True))
def test_whatever_a_file_is_called_spark_reads_its_rows_or_it_is_refused(
    names: list[str], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("names")
    catalog = SparkCatalog(lambda: spark, Storage(str(root)), Storage(str(root)))
    for number, name in enumerate(names):
        write_day(root / "clicks", ago(number), events(ago(number), (1, 2, "like")))
        file = root / f"clicks/dt={ago(number)}" / name
        pq.write_table(events(ago(number), (1, 3, "like"), (1, 4, "like")), file.open("wb"))
    read, refused = [], dict[str, str]()
    for number, name in enumerate(names):
        try:
            read += catalog.partitions(dataset(), [ago(number)]).finished
        except BrokenPartitionError as error:
            refused[name] = str(error)
    assert rows_by_day(catalog.read(dataset(), read, ("user_id",))) == {part.day: part.rows for part in read}
    assert all(name in told and (name.endswith("._COPYING_") or ":" in name) for name, told in refused.items())


def test_many_files_of_odd_names_are_read_once_each(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_day(tmp_path / "clicks", ago(1), events(ago(1), (1, 2, "like")))
    for number in range(40):  # from 33 on Spark lists them by a job of its own
        pq.write_table(events(ago(1), (number, 2, "like")), folder / f"part[{number}]*?.parquet")
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path)), Storage(str(tmp_path)))
    (part,) = catalog.partitions(dataset(), [ago(1)]).finished
    assert rows_by_day(catalog.read(dataset(), [part], ("user_id",))) == {ago(1): part.rows} == {ago(1): 41}


@given(name=NAMES)
def test_what_is_hidden_is_what_spark_hides(name: str, spark: SparkSession) -> None:
    scala = spark.sparkContext._jvm.java.lang.Class.forName("org.apache.spark.util.HadoopFSUtils$")
    sparks = scala.getField("MODULE$").get(None)
    usual = getattr(sparks, "shouldFilterOutPathName$default$2")()
    for whole in (name, f"_{name}", f".{name}", f"{name}._COPYING_"):
        assert is_hidden(whole) == sparks.shouldFilterOutPathName(whole, usual)


def test_a_file_that_was_mended_without_spark(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_day(tmp_path / "clicks", ago(1), events(ago(1), (1, 2, "like")))
    (folder / ".part-0.parquet.crc").write_bytes(b"crc\0\0\0\2\0\1\2\3\4")  # of the file that Spark had written
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path)), Storage(str(tmp_path)))
    parts = catalog.partitions(dataset(), [ago(1)]).finished
    assert rows_by_day(catalog.read(dataset(), parts, ("user_id",))) == {ago(1): 1}


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_a_compression_is_told_before_spark_meets_it(spark: SparkSession, tmp_path: Path, codec: str) -> None:
    folder = write_day(tmp_path / "clicks", ago(1), events(ago(1), (1, 2, "like")))
    pq.write_table(events(ago(1), (1, 2, "like")), folder / "part-0.parquet", compression=codec)
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path)), Storage(str(tmp_path)))
    parts = catalog.partitions(dataset(), [ago(1)]).finished
    if codec == "brotli":
        assert set(parts[0].files[0].undecodable) == {"user_id", "source_id", "event", "ts"}
    else:
        assert parts[0].files[0].undecodable == {}
        assert rows_by_day(catalog.read(dataset(), parts, ("user_id", "event"))) == {ago(1): 1}


def test_columns_of_any_name(spark: SparkSession, tmp_path: Path) -> None:
    names = [
        "",
        " a",
        "a.b",
        "a`b",
        "a,b",
        "a b",
        "{}",
        "a=b",
        "a\nb",
        "ü",
        "😀",
        "ı",
        "_metadata",
        "DT",
        "array",
        "\\",
        "%41",
    ]
    day = pa.table([pa.array([number]) for number in range(len(names))], names=names)
    write_day(tmp_path / "clicks", ago(1), day)
    catalog = SparkCatalog(lambda: spark, Storage(str(tmp_path)), Storage(str(tmp_path)))
    wanted = [name for name in names if name != "DT"]
    (row,) = catalog.read(dataset(), catalog.partitions(dataset(), [ago(1)]).finished, wanted).collect()
    assert list(row)[:-1] == [names.index(name) for name in wanted]
