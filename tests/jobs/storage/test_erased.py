"""What stages know of who was forgotten: all of Kafka's, nothing of it in the manifest but a number and a hash."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from conf import contract
from conf.connections import KafkaConnection
from conf.ids import IdKind
from jobs.storage.erased import Erased, without_rows_of
from models.training.matrix import scan_ids
from publish.clock import utc_now
from publish.runs.erasures import Erasure, ErasureLog
from tests.publish.support.pushing import new_product


def test_the_erasures_of_now(kafka: KafkaConnection) -> None:
    product = new_product(kafka)
    nobody = Erased.read(kafka, product, "int64")
    assert (nobody.users, nobody.fact["users"]) == (frozenset(), 0)
    for user in ("9", "10", "-3"):
        ErasureLog(kafka, product).append(Erasure(user=user, at=utc_now(), reason="asked"))
    found = Erased.read(kafka, product, "int64")
    assert found.users == {9, 10, -3}
    assert found.fact == {"users": 3, "sha256": hashlib.sha256(b"-3\n10\n9").hexdigest()}
    assert Erased.read(kafka, product, "string").users == {"9", "10", "-3"}


def interactions(folder: Path, ids: IdKind) -> ds.Dataset:
    """Users 0 … 99 with sources 5 and 6, sorted over three files."""
    users = sorted((user if ids == "int64" else f"u{user:02}") for user in range(100) for _ in range(2))
    sources = [5, 6] * 100 if ids == "int64" else ["s5", "s6"] * 100
    columns = {"user_id": users, "source_id": sources, "weight": [1.0] * 200, "last_ts": [None] * 200}
    rows = pa.table(columns, schema=contract.interactions(ids))
    folder.mkdir()
    for number, (start, length) in enumerate([(0, 40), (40, 60), (100, 100)]):
        pq.write_table(rows.slice(start, length), folder / f"part-{number}.parquet")
    return ds.dataset(folder, format="parquet")


def test_training_reads_nobody_who_was_erased_after_the_features(tmp_path: Path) -> None:
    for ids, erased in (("int64", {0, 19, 20, 99, 5_000}), ("string", {"u00", "u19", "u20", "u99", "nobody"})):
        kind: IdKind = "int64" if ids == "int64" else "string"
        table = interactions(tmp_path / ids, kind)
        left = without_rows_of(erased, table, tmp_path / f"{ids}.parquet")
        assert left.schema == table.schema
        theirs = [row for row in table.to_table().to_pylist() if row["user_id"] not in erased]
        assert left.to_table().to_pylist() == theirs
        users, _ = scan_ids(left, kind)  # which refuses what is not sorted
        assert len(users) == 96


def test_a_table_without_the_erased_is_not_copied(tmp_path: Path) -> None:
    table, copy = interactions(tmp_path / "table", "int64"), tmp_path / "copy.parquet"
    assert without_rows_of((), table, copy) is table
    assert without_rows_of({100, -1}, table, copy) is table
    assert not copy.exists()
