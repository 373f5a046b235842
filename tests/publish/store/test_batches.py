"""Whole batches against the real Redis: whatever is in them, the same comes out as of one record after the other."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from publish.connect.store_scripts import text_of
from publish.store.redis_store import Position, Step
from publish.store.replies import Status
from tests.publish.support.one_partition import REDIS, TOPIC, Partition, stretches
from tests.publish.support.pushing import stored
from tests.publish.support.records import Record, batch_of


@st.composite
def damaged(draw: st.DrawFn, records: list[Record]) -> list[Record]:
    """A batch, now and then with a record that contradicts others."""
    batch = [records[place] for place in draw(stretches(len(records)))]
    if draw(st.booleans()):
        place, other = draw(st.integers(0, len(batch) - 1)), draw(st.sampled_from(batch) | st.sampled_from(records))
        changes = draw(
            st.sampled_from(
                [
                    {"payload": b"other"},
                    {"user": other.user, "bucket": other.bucket},
                    {"seq": other.seq},
                    {"seq": len(records) + 7},
                ]
            )
        )
        batch[place] = batch[place]._replace(**changes)
    return batch


@REDIS
@given(data=st.data())
def test_a_batch_is_as_its_records_one_after_the_other(clean_redis: redis.Redis, data: st.DataObject) -> None:
    partition = Partition(clean_redis)
    by_bucket = sorted(partition.records, key=lambda record: record.bucket)
    if data.draw(st.booleans(), label="in the order of buckets"):
        partition.records = [record._replace(seq=seq) for seq, record in enumerate(by_bucket)]
    for _ in range(data.draw(st.integers(1, 4))):
        batch = data.draw(damaged(partition.records))
        known = len(partition.model.lists)
        conflict = next(filter(None, map(partition.model.conflict, batch)), None)
        reply = partition.store.load_batch(partition.run, partition.step(len(batch)), batch_of(batch))
        if conflict is not None:
            assert reply == (Status.CONFLICT, conflict)
            assert partition.store.progress(partition.run)[0].state == "FAILED"
            assert partition.store.position(partition.run.layout, 0) == Position(partition.offset, TOPIC)
            return
        assert reply == (Status.LOADED, str(len(partition.model.lists) - known))
        partition.agrees()


@pytest.mark.parametrize("others", [0, 1, 9])
def test_a_user_who_comes_again_is_found_in_an_empty_bucket_and_in_a_filled_one(
    clean_redis: redis.Redis, others: int
) -> None:
    partition = Partition(clean_redis)
    by_bucket = sorted(partition.records, key=lambda record: record.bucket)
    records = [record._replace(seq=seq) for seq, record in enumerate(by_bucket)]
    first, last = records[0], records[11]
    assert first.bucket == last.bucket
    records[11] = first._replace(seq=11)
    if others:
        before = partition.store.load_batch(partition.run, partition.step(1), batch_of(records[:others]))
        assert before.status is Status.LOADED
    reply = partition.store.load_batch(partition.run, partition.step(1), batch_of(records[others:]))
    assert reply == (Status.CONFLICT, f"user {first.user.decode()} came again as seq 11")


@pytest.mark.parametrize("too_many", [1, 2, 3])
def test_consecutive_seqs_that_reach_beyond_the_count_are_found(clean_redis: redis.Redis, too_many: int) -> None:
    partition = Partition(clean_redis)
    batch = [record._replace(seq=record.seq + too_many) for record in partition.records[-3:]]
    reply = partition.store.load_batch(partition.run, partition.step(3), batch_of(batch))
    assert reply.status is Status.CONFLICT
    assert f"seq {partition.model.count} of user" in reply.detail


@REDIS
@given(data=st.data())
def test_several_calls_in_one_go_are_as_one_after_the_other(clean_redis: redis.Redis, data: st.DataObject) -> None:
    partition = Partition(clean_redis)
    store, run = partition.store, partition.run
    if data.draw(st.booleans(), label="nobody has the script"):
        clean_redis.script_flush()
    places = data.draw(stretches(len(partition.records)))
    pieces = list(batch_of([partition.records[place] for place in places]).cut(data.draw(st.integers(1, 20))))
    steps = [(partition.step(len(piece.users)), piece) for piece in pieces]
    refused = data.draw(st.integers(0, len(steps)), label="the first call whose position is wrong")
    for step, _ in steps[refused : refused + 1]:
        steps[refused] = (Step(0, Position(10**6, TOPIC), step.after), steps[refused][1])
    replies = store.load_batches(run, steps)
    assert [reply.status for reply in replies] == [Status.LOADED] * refused + [Status.STALE] * (len(steps) - refused)
    done = {user for _, piece in steps[:refused] for user in piece.users}
    assert stored(clean_redis, run).keys() == done


def test_a_call_behind_one_that_wrote_nothing_is_stale(clean_redis: redis.Redis) -> None:
    partition = Partition(clean_redis)
    store, run = partition.store, partition.run
    store.mark_erased(run.layout, [partition.records[12].user])
    steps = [(partition.step(10), batch_of(partition.records[at : at + 10])) for at in (0, 10, 20)]
    replies = store.load_batches(run, steps)
    assert replies == [(Status.LOADED, "10"), (Status.ERASED, "2"), (Status.STALE, "")]
    assert replies[1].places == (2,)
    assert store.progress(run)[0].loaded == 10


def test_bits_are_claimed_all_or_none(clean_redis: redis.Redis) -> None:
    claim = text_of("seen") + "\nreturn claim(tonumber(ARGV[1]), tonumber(ARGV[2])) and 1 or 0"
    cases = [
        (first, number, bit) for first in (0, 5, 7, 8) for number in (1, 3, 4, 11, 19, 27) for bit in (*range(36), 100)
    ]
    with clean_redis.pipeline(transaction=False) as pipe:
        for case in cases:
            first, number, bit = case
            pipe.setbit(repr(case), bit, 1)
            pipe.eval(claim, 3, "-", "-", repr(case), first, number)
            pipe.get(repr(case))
        answers = pipe.execute()
    for (first, number, bit), claimed, raw in zip(cases, answers[1::3], answers[2::3], strict=True):
        wanted = set(range(first, first + number))
        assert claimed == (bit not in wanted)
        held = {8 * i + j for i, byte in enumerate(raw) for j in range(8) if byte & 0x80 >> j}
        assert held == (wanted | {bit} if claimed else {bit})
