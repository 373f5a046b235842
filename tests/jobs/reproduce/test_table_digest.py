"""Two tables are the same when every bit of every row is, and nothing else matters."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from conf import contract
from jobs.reproduce.table_digest import compare_tables, digest_table
from jobs.storage.errors import StorageError

LISTS = contract.lists("int64")
NAMED = contract.lists("string")


def lists(users: int = 300, seed: int = 1) -> pa.Table:
    """Lists of 0 to 6 sources, sorted by user."""
    draw = random.Random(seed)
    rows = [
        {
            "user_id": 3 * user,
            "source_ids": some,
            "scores": [draw.random() for _ in some],
            "personal": draw.random() < 0.5,
        }
        for user in range(users)
        for some in [draw.sample(range(1_000), draw.randrange(7))]
    ]
    return pa.Table.from_pylist(rows, LISTS)


def named(table: pa.Table) -> pa.Table:
    """The same with ids of different lengths, one of them not ASCII."""
    rows = table.to_pylist()
    rows = [
        {**row, "user_id": f"u{row['user_id']:05}", "source_ids": ["é" * (s % 3) + str(s) for s in row["source_ids"]]}
        for row in rows
    ]
    return pa.Table.from_pylist(rows, NAMED)


def stored(folder: Path, table: pa.Table, files: int = 1, **how: Any) -> ds.Dataset:
    folder.mkdir()
    size = -(-table.num_rows // files)
    for number in range(files):
        pq.write_table(table.slice(number * size, size), folder / f"part-{number}.parquet", **how)
    return ds.dataset(folder, format="parquet")


def changed(table: pa.Table, row: int, **values: Any) -> pa.Table:
    rows = table.to_pylist()
    rows[row] |= values
    return pa.Table.from_pylist(rows, table.schema)


@pytest.mark.parametrize("table", [lists(), named(lists())], ids=["int64", "string"])
def test_files_row_groups_and_compression_do_not_matter(tmp_path: Path, table: pa.Table) -> None:
    one = stored(tmp_path / "one", table)
    other = stored(tmp_path / "other", table, files=3, row_group_size=7, compression="zstd", use_dictionary=False)
    found = compare_tables("lists", one, other, ["user_id"])
    assert (found.same, found.rows, found.differing) == (True, 300, None)


CHANGES = {
    "one bit of a score": ({"scores": [0.1, 0.2]}, {"scores": [0.1, 0.2 + 2**-26]}, "user_id 21 (scores)"),
    "the sign of zero": ({"scores": [0.1, 0.0]}, {"scores": [0.1, -0.0]}, "user_id 21 (scores)"),
    "one id": ({"source_ids": [5, 6]}, {"source_ids": [5, 7]}, "user_id 21 (source_ids)"),
    "the order of ids": ({"source_ids": [5, 6]}, {"source_ids": [6, 5]}, "user_id 21 (source_ids)"),
    "null for nothing": ({"source_ids": []}, {"source_ids": None}, "user_id 21 (source_ids)"),
    "a flag": ({"personal": True}, {"personal": False}, "user_id 21 (personal)"),
    "another user": ({"user_id": 21}, {"user_id": 22}, "user_id 21 (only in the run)"),
}


@pytest.mark.parametrize(("then", "now", "first"), CHANGES.values(), ids=CHANGES.keys())
def test_one_bit_one_id_one_flag_is_found(
    tmp_path: Path, then: dict[str, Any], now: dict[str, Any], first: str
) -> None:
    before = stored(tmp_path / "then", changed(lists(), 7, **then), files=2)
    after = stored(tmp_path / "now", changed(lists(), 7, **now))
    found = compare_tables("lists", before, after, ["user_id"])
    assert found.differing is not None
    assert found.differing.rows == (2 if "user_id" in then else 1)
    assert found.differing.first == first
    assert found.differing.of == (301 if "user_id" in then else 300)


def test_what_moves_between_rows_is_found(tmp_path: Path) -> None:
    """The bytes of all lists together stay the same."""
    table = changed(changed(lists(), 0, source_ids=[1, 2], scores=[1, 1]), 1, source_ids=[3], scores=[1])
    moved = changed(changed(table, 0, source_ids=[1], scores=[1]), 1, source_ids=[2, 3], scores=[1, 1])
    found = compare_tables("lists", stored(tmp_path / "a", table), stored(tmp_path / "b", moved), ["user_id"])
    assert found.differing is not None
    assert found.differing.rows == 2


def test_rows_that_are_missing_and_rows_in_another_order_are_found(tmp_path: Path) -> None:
    whole = stored(tmp_path / "whole", lists())
    short = stored(tmp_path / "short", lists().slice(0, 299))
    found = compare_tables("lists", whole, short, ["user_id"])
    assert found.differing is not None
    assert (found.differing.rows, found.differing.first) == (1, "user_id 897 (only in the run)")
    found = compare_tables("lists", short, whole, ["user_id"])
    assert found.differing is not None
    assert (found.rows, found.differing.first) == (299, "user_id 897 (only in what was made again)")
    turned = stored(tmp_path / "turned", lists().take([*range(298), 299, 298]))
    assert digest_table("lists", whole, LISTS.names)[1] != digest_table("lists", turned, LISTS.names)[1]


def test_a_damaged_file_is_named_by_its_table(tmp_path: Path) -> None:
    whole = stored(tmp_path / "table", lists())
    path = tmp_path / "table" / "part-0.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match="table 'lists' cannot be read"):
        digest_table("lists", whole, LISTS.names)
