from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.contract import snapshot
from conf.ids import IdKind
from publish.errors import SnapshotRefused
from publish.lists_pb2 import List
from publish.send.snapshot import CHUNK_ROWS, by_partition, measure_partition, read_partition
from publish.wire.digest import Digest
from publish.wire.keys import Layout
from tests.publish.support.samples import Lists, batches_of, layout_for, partition_batch, slices_of
from tests.support.ids import strings_of

LISTS: Lists = {user: [user + 1, user + 2][: user % 3] for user in range(30)}
ONE = layout_for(LISTS, 1)
"""The layout of these lists in one partition: 15 buckets."""
FLAT = Layout.plan("groups", 1, 0, 1)
"""One partition, one bucket: users are in the order of their ids."""


def changed(column: str, values: list[Any], ids: IdKind = "int64") -> pa.RecordBatch:
    """Two rows of partition 0 of 1, with one column replaced."""
    columns = {
        "partition": [0, 0],
        "seq": [0, 1],
        "user_id": [1, 2],
        "source_ids": [[7], [8]],
        "scores": [[1.0], [1.0]],
    }
    return pa.RecordBatch.from_pydict(columns | {column: values}, schema=snapshot(ids))


def test_a_slice_counts_and_digests_the_encoded_rows() -> None:
    digest = Digest()
    for user, sources in LISTS.items():
        scores = [float(score) for score in range(len(sources), 0, -1)]
        digest.update([str(user).encode()], [List(source_ids=sources, scores=scores).SerializeToString()])
    whole = slices_of(LISTS, 1)[0]
    assert (whole.count, whole.digest, whole.bytes) == (30, digest.hex, digest.bytes)


@given(st.lists(st.integers(1, 30), max_size=5))
def test_how_rows_are_batched_makes_no_difference(cuts: list[int]) -> None:
    batch = partition_batch(LISTS, 0, 1)
    edges = [0, *sorted(cuts), 30]
    pieces = [batch.slice(start, end - start) for start, end in pairwise(edges)]
    assert measure_partition(pieces, 0, ONE, "int64") == slices_of(LISTS, 1)[0]


def test_records_come_in_bounded_chunks_with_their_seq() -> None:
    lists: Lists = {user: [] for user in range(2 * CHUNK_ROWS + 1)}
    records = list(read_partition([partition_batch(lists, 0, 1, buckets=1)], 0, FLAT, "int64"))
    assert [(part.first_seq, len(part.keys)) for part in records] == [(0, 1000), (1000, 1000), (2000, 1)]
    assert records[1].keys[0] == b"1000"


def test_an_empty_partition_is_a_slice_of_nothing() -> None:
    empty = measure_partition([], 4, Layout.plan("groups", 8, 0, 1), "int64")
    assert (empty.partition, empty.count, empty.digest, empty.bytes) == (4, 0, "0" * 16, 0)


def test_string_users_are_ordered_by_their_utf8() -> None:
    lists: Lists = {user: ["x"] for user in ["Zoë", "a", "ä", "z", "жук", "𐍈"]}
    assert measure_partition([partition_batch(lists, 0, 1, "string", buckets=1)], 0, FLAT, "string").count == 6


def test_a_task_with_several_partitions_gives_each_in_turn() -> None:
    table = pa.Table.from_batches(batches_of(LISTS, 3)).combine_chunks().to_batches()
    found = [
        measure_partition(rows, partition, layout_for(LISTS, 3), "int64") for partition, rows in by_partition(table)
    ]
    assert tuple(found) == slices_of(LISTS, 3)


def test_a_partition_cut_by_batches_stays_one() -> None:
    batches = [piece for batch in batches_of(LISTS, 3) for piece in (batch.slice(0, 4), batch.slice(4))]
    assert [partition for partition, _ in by_partition(batches)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("partition", [0, 1], "rows of another partition"),
        ("partition", [0, None], "rows of another partition"),
        ("seq", [1, 2], "seq is not 0 … 1"),  # begins too late
        ("seq", [0, 2], "seq is not 0 … 1"),  # a gap
        ("seq", [0, 0], "seq is not 0 … 1"),
        ("seq", [0, None], "seq is not 0 … 1"),
        ("user_id", [2, 1], "do not ascend"),
        ("user_id", [1, 1], "one comes twice"),
        ("user_id", [1, None], "user_id is null"),
        ("source_ids", [[7], [None]], "is null"),  # every rule of the codec, too
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(column: str, values: list[Any], reason: str) -> None:
    with pytest.raises(SnapshotRefused, match=reason):
        measure_partition([changed(column, values)], 0, FLAT, "int64")


def test_seq_and_order_hold_across_batches() -> None:
    batch = partition_batch(LISTS, 0, 1)
    with pytest.raises(SnapshotRefused, match="seq is not 10"):
        measure_partition([batch.slice(0, 10), batch.slice(11)], 0, ONE, "int64")
    with pytest.raises(SnapshotRefused, match="seq is not 10"):
        measure_partition([batch.slice(0, 10), batch.slice(0, 10)], 0, ONE, "int64")
    again = batch.slice(0, 1).set_column(1, "seq", pa.array([1], pa.int64()))  # the first user with the next seq
    with pytest.raises(SnapshotRefused, match="do not ascend"):
        measure_partition([batch.slice(0, 1), again], 0, ONE, "int64")


def test_users_come_bucket_by_bucket() -> None:
    users = [user for part in read_partition(batches_of(LISTS, 1), 0, ONE, "int64") for user in part.keys]
    assert users == sorted(users, key=lambda user: (ONE.place_of_key(user)[1], int(user)))
    assert users != sorted(users, key=int)
    with pytest.raises(SnapshotRefused, match="do not ascend by bucket of 15"):
        measure_partition([partition_batch(LISTS, 0, 1, buckets=1)], 0, ONE, "int64")


@given(st.data(), st.sampled_from(["int64", "string"]))
def test_any_two_users_exchanged_are_noticed(data: st.DataObject, ids: IdKind) -> None:
    lists: Lists = LISTS if ids == "int64" else {f"u{user}": ["x"] for user in LISTS}
    batch = partition_batch(lists, 0, 1, ids)
    first, second = sorted(data.draw(st.lists(st.integers(0, 29), min_size=2, max_size=2, unique=True)))
    users = batch.column("user_id").to_pylist()
    users[first], users[second] = users[second], users[first]
    shuffled = batch.set_column(2, "user_id", pa.array(users, batch.column("user_id").type))
    cut = data.draw(st.integers(1, 29))
    with pytest.raises(SnapshotRefused, match="do not ascend"):
        measure_partition([shuffled.slice(0, cut), shuffled.slice(cut)], 0, ONE, ids)


def test_a_user_of_another_partition_is_refused() -> None:
    batch = partition_batch(LISTS, 0, 1)  # all users, as if there was one partition
    with pytest.raises(SnapshotRefused, match="belongs to 1 of 2"):
        measure_partition([batch], 0, layout_for(LISTS, 2), "int64")


@pytest.mark.parametrize("user", [b"", b"\xff", b"a\0", b"x" * 256])
def test_a_user_whose_id_is_none_is_refused(user: bytes) -> None:
    batch = partition_batch({"a": ["x"]}, 0, 1, "string").set_column(2, "user_id", strings_of([user]))
    with pytest.raises(SnapshotRefused, match=r"user_id is not 1 … 255 bytes of UTF-8"):
        measure_partition([batch], 0, FLAT, "string")


def test_users_of_another_kind_are_refused() -> None:
    with pytest.raises(SnapshotRefused, match="user_id is string, must be int64"):
        measure_partition([partition_batch({"a": ["x"]}, 0, 1, "string")], 0, FLAT, "int64")
