"""Strings as ids: what features let through every later stage holds, and what they do not is counted."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from conf.contract import snapshot
from conf.datasets import SnapshotDataset
from conf.ids import MAX_ID_BYTES
from features.errors import BadRowsError, SnapshotError
from features.partials import check_partials, daily_partials, valid_rows
from features.reading.snapshots import SnapshotRead, check_snapshot, plan_snapshot, read_snapshots
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from models.arrays.ids import IdMap
from publish.wire.encoding import encode_rows
from publish.wire.user_ids import user_key
from tests.features.world import AS_OF, ago, at, dataset
from tests.support.ids import ANY_BYTES, decoded_id, strings_of

VALUES = st.one_of(st.none(), ANY_BYTES)


def fault_of(user: bytes | None, source: bytes | None) -> str | None:
    """The first thing that is wrong with a row of these ids, in plain Python."""
    for column, value in (("user_id", user), ("source_id", source)):
        if value is None:
            return f"null_{column}"
        if decoded_id(value) is not None:
            continue
        if value == b"":
            return f"empty_{column}"
        try:
            value.decode()
        except UnicodeDecodeError:
            return f"not_utf8_{column}"
        return f"nul_in_{column}" if b"\0" in value else f"long_{column}"
    return None


def catalog_of(spark: SparkSession, folder: Path, name: str, **columns: Any) -> SparkCatalog:
    """Yesterday's partition of one dataset."""
    day = folder / f"data/{name}/dt={ago(1)}"
    day.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), day / "part-0.parquet")
    (day / "_SUCCESS").touch()
    return SparkCatalog(lambda: spark, Storage(str(folder / "data")), Storage(str(folder / "partials")))


@examples(max_examples=3, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(VALUES, VALUES), min_size=100, max_size=200))
def test_every_string_of_a_file_is_an_id_that_all_stages_hold_or_a_counted_fault(
    spark: SparkSession, tmp_path: Path, pairs: list[tuple[bytes | None, bytes | None]]
) -> None:
    users, sources = (strings_of([pair[i] for pair in pairs]) for i in (0, 1))
    likes, times = pa.array(["like"] * len(pairs)), pa.array([at(ago(1))] * len(pairs))
    catalog = catalog_of(spark, tmp_path, "clicks", user_id=users, source_id=sources, event=likes, ts=times)
    clicks = dataset(bad_row_budget=0.99)
    made = daily_partials("clicks", clicks, catalog.partitions(clicks, [ago(1)]).finished, "string", catalog)

    (record,) = made.records
    faults = Counter(fault_of(*pair) for pair in pairs)
    assert record.kept == faults.pop(None, 0)
    assert record.dropped == faults
    kept = valid_rows(catalog.partials.read("clicks", [ago(1)], "string")).toArrow()
    found = set(zip(kept["user_id"].to_pylist(), kept["source_id"].to_pylist(), strict=True))
    assert found == {(decoded_id(u or b""), decoded_id(s or b"")) for u, s in pairs if fault_of(u, s) is None}
    for column in ("user_id", "source_id"):  # training gives every id back, and publish takes them
        names = {row[0 if column == "user_id" else 1] for row in found}
        ids = IdMap.of(kept[column], "string").to_arrow()
        assert set(ids.to_pylist()) == names
        assert len(encode_rows(rows_of(ids), "string")) == 1
        assert [user_key(name, "string", "p").decode() for name in sorted(names)] == sorted(names)
    if faults:
        with pytest.raises(BadRowsError, match=rf"{sum(faults.values())} of {len(pairs)} rows .*{min(faults)}"):
            check_partials(made, dataset(), [ago(1)], ["like"])


def rows_of(ids: Any) -> pa.RecordBatch:
    """A snapshot's columns with one list of these sources."""
    schema = pa.schema([snapshot("string").field(name) for name in ("source_ids", "scores")])
    return pa.RecordBatch.from_pydict({"source_ids": [ids.to_pylist()], "scores": [None]}, schema)


SNAPSHOT_COLUMNS = {
    "subscriptions": ("user_id", "source_id"),
    "blocks": ("user_id", "source_id"),
    "audience": ("user_id",),
    "sources": ("source_id", "owner_id"),
}


@pytest.mark.parametrize(("name", "column"), [(name, one) for name, some in SNAPSHOT_COLUMNS.items() for one in some])
def test_a_snapshot_with_unusable_ids_is_refused_and_they_are_counted(
    spark: SparkSession, tmp_path: Path, name: str, column: str
) -> None:
    sound_ids = [f"s{number}".encode() for number in range(8)]
    bad: list[bytes | None] = [b"", b"", b"\xff", b"a\0", b"x" * 300_000, None, b"fine", "ü".encode()]
    columns = {each: strings_of([*sound_ids]) for each in SNAPSHOT_COLUMNS[name]} | {column: strings_of(bad)}
    catalog, wanted = catalog_of(spark, tmp_path, name, **columns), SnapshotDataset(path=name)
    plan = check_snapshot(plan_snapshot(name, wanted, AS_OF, catalog), wanted, "string")
    with pytest.raises(SnapshotError) as refused:
        read_snapshots([SnapshotRead(plan, wanted, AS_OF)], "string", catalog)
    told = str(refused.value)
    assert f"dataset '{name}', dt={ago(1)}: " in told
    assert f"2 rows with an empty {column}, 1 rows with a {column} that is not UTF-8" in told
    assert f"1 rows with a NUL character in {column}, 1 rows with a {column} of more than {MAX_ID_BYTES} bytes" in told
    assert ("1 rows without" in told) == (column != "owner_id")


def test_every_int64_is_an_id(spark: SparkSession, tmp_path: Path) -> None:
    edges = [-(2**63), -1, 0, 1, 2**63 - 1]
    ids, likes = pa.array(edges, pa.int64()), pa.array(["like"] * 5)
    times = pa.array([at(ago(1))] * 5)
    catalog = catalog_of(spark, tmp_path, "clicks", user_id=ids, source_id=ids, event=likes, ts=times)
    made = daily_partials("clicks", dataset(), catalog.partitions(dataset(), [ago(1)]).finished, "int64", catalog)
    assert (made.records[0].kept, made.records[0].dropped) == (5, {})
    kept = valid_rows(catalog.partials.read("clicks", [ago(1)], "int64")).toArrow()["user_id"]
    assert IdMap.of(kept, "int64").to_arrow().to_pylist() == edges
    assert [user_key(user, "int64", "p") for user in edges] == [str(user).encode() for user in edges]
