"""One partition of a run in the real Redis, and what it must hold, told by a model that knows no batches."""

from dataclasses import dataclass, field

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from publish.store.redis_store import Position, RedisStore, Step
from publish.store.replies import Status
from publish.wire.announcement import Announcement
from publish.wire.digest import record_hash_text
from tests.publish.support.pushing import announce, lists_of, records_of, stored
from tests.publish.support.records import Record

LISTS = lists_of(180)
TOPIC = "topic-a"
REDIS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@dataclass
class Model:
    """What a partition must hold, by the rules and one record at a time."""

    count: int
    lists: dict[bytes, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    erased: set[bytes] = field(default_factory=set)

    def conflict(self, record: Record) -> str | None:
        """Take a record in, or say what is wrong with it."""
        if record.seq >= self.count:
            return f"seq {record.seq} of user {record.user.decode()} lies beyond the announced count {self.count}"
        known = self.lists.get(record.user)
        if record.seq in self.seen:
            twice = f"seq {record.seq} came twice with different content, the second time for user "
            return None if known == record.payload else twice + record.user.decode()
        self.seen.add(record.seq)
        if known is not None:
            return f"user {record.user.decode()} came again as seq {record.seq}"
        self.lists[record.user] = record.payload
        return None


class Partition:
    """Partition 0 of a run of its own."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushall()
        self.client, self.store = client, RedisStore(client)
        self.run: Announcement = announce(client, "groups", LISTS, buckets=4)
        self.records = records_of(self.run, LISTS, 0)
        self.model = Model(len(self.records))
        self.offset = 0
        assert self.store.begin(self.run, self.step(1)).status is Status.BEGUN

    def step(self, by: int) -> Step:
        before, self.offset = self.offset, self.offset + by
        return Step(0, Position(before, TOPIC) if before else None, Position(self.offset, TOPIC))

    def agrees(self) -> None:
        """Redis holds what the model says: lists, hashes of erased ones, bitmap, count, position."""
        lists, layout = self.model.lists, self.run.layout
        kept = {user: payload for user, payload in lists.items() if user not in self.model.erased}
        hashes = {
            user: record_hash_text(user, payload).encode()
            for user, payload in lists.items()
            if user in self.model.erased
        }
        assert stored(self.client, self.run) == kept
        assert self.client.hgetall(layout.erased_in(self.run.run, 0)) == hashes
        raw = self.client.get(layout.seen(self.run.run, 0)) or b""
        assert {8 * i + j for i, byte in enumerate(raw) for j in range(8) if byte & 0x80 >> j} == self.model.seen
        assert self.store.progress(self.run)[0].loaded == len(lists)
        assert self.store.position(layout, 0) == Position(self.offset, TOPIC)


def stretches(count: int) -> st.SearchStrategy[list[int]]:
    """Places of records as they arrive: consecutive for the most part, with repetitions and jumps."""
    ranges = st.tuples(st.integers(0, count - 1), st.integers(1, count)).map(
        lambda pair: list(range(pair[0], min(count, pair[0] + pair[1])))
    )
    return st.lists(ranges | st.lists(st.integers(0, count - 1), min_size=1, max_size=4), min_size=1, max_size=3).map(
        lambda parts: [place for part in parts for place in part]
    )
