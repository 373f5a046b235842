"""Ways in which the records of a push arrive otherwise than they were meant."""

from collections.abc import Callable

from publish.announcement import Announcement
from publish.messages import MARK_KEY, Kind, end_value, pack
from tests.publish.pushing import Wire

Damage = Callable[[Wire, Announcement], Wire]
"""Records of a run in sending order → the records that are sent."""


def whole(wire: Wire, _: Announcement) -> Wire:
    return wire


def every_record_twice(wire: Wire, _: Announcement) -> Wire:
    return [record for record in wire for _ in range(2)]


def partition_replayed_before_end(wire: Wire, run: Announcement) -> Wire:
    replay = [record for record in wire[: -run.partitions] if record[0] == 1]
    return [*wire[: -run.partitions], *replay, *wire[-run.partitions :]]


def records_after_end(wire: Wire, run: Announcement) -> Wire:
    return [*wire, *wire[run.partitions : run.partitions + 50]]


def other_values_after_end(wire: Wire, run: Announcement) -> Wire:
    late = [(p, key, pack(Kind.DATA, run.epoch, 0, key or b"", b"\x0a\x01\x07")) for p, key, _ in wire[3:6]]
    return [*wire, *late]


def end_twice(wire: Wire, run: Announcement) -> Wire:
    return [*wire, *wire[-run.partitions :]]


def stray_end_first(wire: Wire, run: Announcement) -> Wire:
    return [(0, MARK_KEY, end_value(run, run.slices[0])), *wire]


def strangers_in_between(wire: Wire, run: Announcement) -> Wire:
    stranger = (1, b"5", pack(Kind.DATA, 10**12, 0, b"5", b""))
    return [*wire[:10], stranger, *wire[10:]]


def one_lost(wire: Wire, run: Announcement) -> Wire:
    return wire[:100] + wire[101:]


def one_lost_one_doubled(wire: Wire, run: Announcement) -> Wire:
    return wire[:100] + wire[101:102] + wire[101:]


def last_lost(wire: Wire, run: Announcement) -> Wire:
    return wire[: -run.partitions - 1] + wire[-run.partitions :]


def partition_empty(wire: Wire, run: Announcement) -> Wire:
    return [record for record in wire if record[0] != 1 or record[1] == MARK_KEY]


def same_seq_other_value(wire: Wire, run: Announcement) -> Wire:
    partition, key, _ = wire[200]
    seq = sum(record[0] == partition for record in wire[run.partitions : 200])
    return [*wire[:300], (partition, key, pack(Kind.DATA, run.epoch, seq, key or b"", b"\x0a\x01\x07")), *wire[300:]]


def user_twice(wire: Wire, run: Announcement) -> Wire:
    """The last record of a partition is of a user that the partition had before."""
    partition, key, _ = wire[-run.partitions - 2]
    seq = run.slices[partition].count - 1
    twice = (partition, key, pack(Kind.DATA, run.epoch, seq, key or b"", b""))
    return [*wire[: -run.partitions - 1], twice, *wire[-run.partitions :]]


def seq_beyond_count(wire: Wire, run: Announcement) -> Wire:
    return [
        *wire[:50],
        (wire[50][0], wire[50][1], pack(Kind.DATA, run.epoch, 2**31, wire[50][1] or b"", b"")),
        *wire[50:],
    ]


def value_flipped(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    assert value is not None
    return [*wire[:100], (partition, key, value[:-1] + bytes([value[-1] ^ 1])), *wire[101:]]


def key_flipped(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    assert key is not None
    return [*wire[:100], (partition, bytes([key[0] ^ 1]) + key[1:], value), *wire[101:]]


def wrong_partition(wire: Wire, run: Announcement) -> Wire:
    partition, key, value = wire[100]
    return [*wire[:100], ((partition + 1) % run.partitions, key, value), *wire[100:]]


def tombstone(wire: Wire, run: Announcement) -> Wire:
    return [*wire[:100], (wire[100][0], wire[100][1], None), *wire[100:]]


def null_key(wire: Wire, run: Announcement) -> Wire:
    return [*wire[:100], (wire[100][0], None, wire[100][2]), *wire[100:]]


def end_missing(wire: Wire, run: Announcement) -> Wire:
    return wire[:-1]


def end_before_data(wire: Wire, run: Announcement) -> Wire:
    return [*wire[: run.partitions], *wire[-run.partitions :], *wire[run.partitions : -run.partitions]]


def begin_missing(wire: Wire, run: Announcement) -> Wire:
    return wire[1:]


def end_of_another_count(wire: Wire, run: Announcement) -> Wire:
    short = run.slices[0].model_copy(update={"count": run.slices[0].count - 1})
    return [*wire[: -run.partitions], (0, MARK_KEY, end_value(run, short)), *wire[-run.partitions + 1 :]]


def nothing_sent(wire: Wire, run: Announcement) -> Wire:
    return []


HARMLESS: list[Damage] = [
    whole,
    every_record_twice,
    partition_replayed_before_end,
    records_after_end,
    other_values_after_end,
    end_twice,
    strangers_in_between,
    stray_end_first,
]
FATAL: list[Damage] = [
    one_lost,
    one_lost_one_doubled,
    last_lost,
    partition_empty,
    same_seq_other_value,
    user_twice,
    seq_beyond_count,
    value_flipped,
    key_flipped,
    wrong_partition,
    tombstone,
    null_key,
    end_missing,
    end_before_data,
    begin_missing,
    end_of_another_count,
    nothing_sent,
]
