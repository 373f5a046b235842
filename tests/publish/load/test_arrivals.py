"""Messages of a partition, judged by the thousand: the same verdicts as one by one."""

import itertools
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from publish.load.arrivals import Arrival, DataBlock, read_arrival, read_messages
from publish.store.batches import Batch
from publish.wire.messages import HEAD, MARK_KEY, MessageKind, begin_value, end_value, pack
from tests.publish.support.pushing import lists_of
from tests.publish.support.samples import announcement_of

PARTITIONS = 3
RUN = announcement_of(lists_of(30), partitions=PARTITIONS)
Pair = tuple[bytes | None, bytes | None]


def flipped(pair: Pair, bit: int) -> Pair:
    value = bytearray(pair[1] or b"\0")
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    return pair[0], bytes(value)


lists = st.builds(
    lambda user, epoch, seq, payload: (user, pack(MessageKind.DATA, epoch, seq, user, payload)),
    st.integers(0, 40).map(lambda user: str(user).encode()) | st.just(MARK_KEY),
    st.sampled_from([1, 1, 1, 2, 2**63 + 5]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=12),
)
marks = st.sampled_from([(MARK_KEY, begin_value(RUN, 0)), (MARK_KEY, end_value(RUN, RUN.slices[0]))])
broken = (
    st.builds(flipped, lists, st.integers(0, 400))
    | st.tuples(st.none() | st.binary(max_size=3), st.none() | st.binary(max_size=24))
    | lists.map(lambda pair: (pair[0], None))
    | lists.map(lambda pair: (None, pair[1]))
)


@settings(deadline=None)
@given(
    pairs=st.lists(lists | lists | marks | broken, min_size=1, max_size=40), partition=st.integers(0, PARTITIONS - 1)
)
def test_every_message_gets_the_verdict_that_it_gets_alone(pairs: list[Pair], partition: int) -> None:
    messages = [
        Message(topic="t", partition=partition, offset=offset, key=key, value=value)
        for offset, (key, value) in enumerate(pairs)
    ]
    met = 0
    for piece in read_messages(messages, partition, PARTITIONS):
        if isinstance(piece, DataBlock):
            batch = piece.batch(RUN.layout)
            for place, message in enumerate(piece.messages):
                alone = read_arrival(message, partition, PARTITIONS)
                assert alone.message is message is messages[met + place]
                envelope = alone.envelope
                assert envelope is not None
                assert envelope.kind is MessageKind.DATA
                user = batch.users[place]
                assert (piece.epoch, batch.seqs[place], batch.payloads[place]) == envelope[2:]
                assert user == message.key()
                assert (partition, batch.buckets[place]) == RUN.layout.place_of_key(user)
            met += len(piece.messages)
        else:
            for arrival in piece:
                alone = read_arrival(messages[met], partition, PARTITIONS)
                assert arrival == alone
                assert not is_list(alone)
                met += 1
    assert met == len(messages)


def in_partition_0(value: Callable[[bytes], bytes], number: int) -> list[Message]:
    """So many messages of users of partition 0."""
    users = [user for user in (str(user).encode() for user in range(9 * number)) if zlib.crc32(user) % PARTITIONS == 0]
    return [Message(topic="t", partition=0, offset=i, key=user, value=value(user)) for i, user in enumerate(users)][
        :number
    ]


def test_a_stretch_is_of_one_run() -> None:
    first = in_partition_0(lambda user: pack(MessageKind.DATA, 1, 5, user, b""), 4)
    second = in_partition_0(lambda user: pack(MessageKind.DATA, 2, 5, user, b""), 3)
    pieces = list(read_messages([*first, *second, *first], 0, PARTITIONS))
    assert [(piece.epoch, len(piece.users)) for piece in pieces if isinstance(piece, DataBlock)] == [
        (1, 4),
        (2, 3),
        (1, 4),
    ]


@pytest.mark.parametrize(
    ("kind", "codec"), [(MessageKind.DATA, 0), (MessageKind.DATA, 2), (MessageKind.BEGIN, 1), (9, 1)]
)
def test_an_intact_record_of_another_sort_is_no_list(kind: int, codec: int) -> None:
    def value(user: bytes) -> bytes:
        head = HEAD.pack(kind, codec, 1, 5)
        return head + struct.pack(">I", zlib.crc32(user, zlib.crc32(head)))

    (piece,) = read_messages(in_partition_0(value, 2), 0, PARTITIONS)
    assert not isinstance(piece, DataBlock)
    assert all(arrival.too_new for arrival in piece)


def is_list(arrival: Arrival) -> bool:
    return arrival.envelope is not None and arrival.envelope.kind is MessageKind.DATA


@given(buckets=st.lists(st.integers(0, 3), min_size=1, max_size=60).map(sorted), size=st.integers(1, 20))
def test_batches_are_cut_between_buckets_where_that_is_possible(buckets: list[int], size: int) -> None:
    whole = Batch(np.arange(len(buckets)), np.array(buckets), [b"u"] * len(buckets), [b"p"] * len(buckets))
    pieces = list(whole.cut(size))
    assert [bucket for piece in pieces for bucket in piece.buckets] == buckets
    assert all(0 < len(piece.users) <= size for piece in pieces)
    for piece, after in itertools.pairwise(pieces):
        assert piece.buckets[-1] != after.buckets[0] or set(piece.buckets) == {after.buckets[0]}
