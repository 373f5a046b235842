"""The benchmark's snapshot is one that the job could have written."""

import pytest

from benchmarks.publish.world import SOURCES, TABLES, ListShape, make_snapshot
from benchmarks.publish.yardsticks import hset_rate, produced_rate
from conf.settings import PublishSettings
from publish.send.snapshot import measure_partition
from publish.wire.encoding import encode_rows

_SETTINGS = PublishSettings(partitions=3, users_per_bucket=10)


@pytest.mark.parametrize("table", TABLES)
def test_it_keeps_every_rule_of_a_snapshot(table: ListShape) -> None:
    snapshot = make_snapshot(table, 500, _SETTINGS)
    layout = snapshot.layout("any")
    slices = [measure_partition([batch], place, layout, "int64") for place, batch in enumerate(snapshot.batches)]
    assert sum(piece.count for piece in slices) == snapshot.users == 500


def test_ids_have_the_sizes_that_the_tables_name() -> None:
    real, snowflake = (make_snapshot(table, 50, _SETTINGS).batches[0] for table in TABLES)
    assert {len(payload) for payload in encode_rows(snowflake, "int64")} == {3 + 100 * 9}
    ids = real.column("source_ids").flatten().to_pylist()
    assert 0 < min(ids) <= max(ids) <= SOURCES
    assert len(set(ids)) < len(ids)  # popular sources are in many lists


def test_the_tools_answers_are_understood() -> None:
    kafka = "5 records sent, 1.0 records/sec (0.1 MB/sec)\n12 records sent, 345678.9 records/sec (65.2 MB/sec), 1 ms"
    assert produced_rate(kafka) == (12, 345_678.9)
    assert produced_rate("org.apache.kafka.common.errors.TimeoutException") is None
    assert hset_rate('"test","rps"\n"HSET {y}:b:__rand_int__ x","83682.01","0.5"\n') == 83_682.01
    assert hset_rate("Could not connect to Redis") is None
