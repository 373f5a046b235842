"""Ways in which the records of a push arrive otherwise than they were meant."""

import random
import zlib
from collections.abc import Callable

from publish.wire.announcement import Announcement
from publish.wire.messages import ENVELOPE_BYTES, HEAD, MARK_KEY, Begin, MessageKind, end_value, pack
from tests.publish.support.pushing import Wire

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
    late = [(p, key, pack(MessageKind.DATA, run.epoch, 0, key or b"", b"\x0a\x01\x07")) for p, key, _ in wire[3:6]]
    return [*wire, *late]


def end_twice(wire: Wire, run: Announcement) -> Wire:
    return [*wire, *wire[-run.partitions :]]


def stray_end_first(wire: Wire, run: Announcement) -> Wire:
    return [(0, MARK_KEY, end_value(run, run.slices[0])), *wire]


def strangers_in_between(wire: Wire, run: Announcement) -> Wire:
    stranger = (1, b"5", pack(MessageKind.DATA, 10**12, 0, b"5", b""))
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
    return [
        *wire[:300],
        (partition, key, pack(MessageKind.DATA, run.epoch, seq, key or b"", b"\x0a\x01\x07")),
        *wire[300:],
    ]


def user_twice(wire: Wire, run: Announcement) -> Wire:
    """The last record of a partition is of a user that the partition had before."""
    partition, key, _ = wire[-run.partitions - 2]
    seq = run.slices[partition].count - 1
    twice = (partition, key, pack(MessageKind.DATA, run.epoch, seq, key or b"", b""))
    return [*wire[: -run.partitions - 1], twice, *wire[-run.partitions :]]


def seq_beyond_count(wire: Wire, run: Announcement) -> Wire:
    return [
        *wire[:50],
        (wire[50][0], wire[50][1], pack(MessageKind.DATA, run.epoch, 2**31, wire[50][1] or b"", b"")),
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


def begin_twice(wire: Wire, run: Announcement) -> Wire:
    return [*wire[: run.partitions], *wire[: run.partitions], *wire[run.partitions :]]


def begin_again_in_the_middle(wire: Wire, run: Announcement) -> Wire:
    return [*wire[:500], *wire[: run.partitions], *wire[500:]]


def shuffled(wire: Wire, run: Announcement) -> Wire:
    """The data of a partition in any order, as after a producer that is not idempotent."""
    data = wire[run.partitions : -run.partitions]
    random.Random(7).shuffle(data)
    return [*wire[: run.partitions], *data, *wire[-run.partitions :]]


def end_in_the_middle(wire: Wire, run: Announcement) -> Wire:
    middle = len(wire) // 2
    return [*wire[:middle], *wire[-run.partitions :], *wire[middle : -run.partitions]]


def end_of_another_digest(wire: Wire, run: Announcement) -> Wire:
    other = run.slices[0].model_copy(update={"digest": "0123456789abcdef"})
    return [*wire[: -run.partitions], (0, MARK_KEY, end_value(run, other)), *wire[-run.partitions + 1 :]]


def begin_malformed(wire: Wire, run: Announcement) -> Wire:
    """Intact on the wire, and no BEGIN."""
    return [(0, MARK_KEY, pack(MessageKind.BEGIN, run.epoch, 0, MARK_KEY, b"{}")), *wire[1:]]


def begin_of_another_slice(wire: Wire, run: Announcement) -> Wire:
    first, *others = run.slices
    more = run.model_copy(update={"slices": (first.model_copy(update={"count": first.count + 1}), *others)})
    mark = Begin(run=run.run, announcement=run.hash, slice=more.slices[0]).model_dump_json().encode()
    return [(0, MARK_KEY, pack(MessageKind.BEGIN, run.epoch, 0, MARK_KEY, mark)), *wire[1:]]


def empty_value(wire: Wire, run: Announcement) -> Wire:
    return _replaced(wire, 100, value=b"")


def envelope_flipped(place: int) -> Damage:
    """One bit of the byte at this place of the envelope is another."""

    def damage(wire: Wire, run: Announcement) -> Wire:
        value = wire[100][2]
        assert value is not None
        return _replaced(wire, 100, value=value[:place] + bytes([value[place] ^ 4]) + value[place + 1 :])

    damage.__name__ = f"envelope_byte_{place}_flipped"
    return damage


def user_not_utf8(wire: Wire, run: Announcement) -> Wire:
    """Well packed, of a user whom no reader can ask for, in place of somebody."""
    partition, _, value = wire[100]
    assert value is not None
    key = next(key for n in range(100) if zlib.crc32(key := b"\xff%d" % n) % run.partitions == partition)
    seq = HEAD.unpack_from(value)[3]
    return _replaced(wire, 100, key=key, value=pack(MessageKind.DATA, run.epoch, seq, key, value[ENVELOPE_BYTES:]))


def _replaced(wire: Wire, place: int, **parts: bytes) -> Wire:
    partition, key, value = wire[place]
    return [*wire[:place], (partition, parts.get("key", key), parts.get("value", value)), *wire[place + 1 :]]


HARMLESS: list[tuple[int, Damage]] = [
    (3, whole),
    (3, every_record_twice),
    (3, partition_replayed_before_end),
    (3, shuffled),
    (8, begin_twice),
    (8, begin_again_in_the_middle),
    (8, end_twice),
    (8, stray_end_first),
    (9, records_after_end),
    (9, other_values_after_end),
    (9, strangers_in_between),
]
"""Number of the fault, and what it does; such a run still serves."""
FATAL: list[tuple[int, Damage]] = [
    (1, one_lost),
    (1, last_lost),
    (1, nothing_sent),
    (2, one_lost_one_doubled),
    (4, same_seq_other_value),
    (4, user_twice),
    (4, seq_beyond_count),
    (5, value_flipped),
    (5, key_flipped),
    *((5, envelope_flipped(place)) for place in (0, 1, 5, 12, 15)),
    (6, wrong_partition),
    (7, partition_empty),
    (8, end_missing),
    (8, end_before_data),
    (8, end_in_the_middle),
    (10, begin_missing),
    (10, begin_malformed),
    (10, begin_of_another_slice),
    (10, end_of_another_count),
    (10, end_of_another_digest),
    (13, tombstone),
    (13, null_key),
    (13, empty_value),
    (13, user_not_utf8),
]
"""The same; such a run must not serve."""
