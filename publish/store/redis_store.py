"""The lists of a run in Redis: every change to a partition is one atomic call that also moves its position.

Position, state, bitmap and lists of a partition share a hash tag, hence a slot, and change together or not at all. A
caller says in which position it believes; when Redis knows better (the caller froze and another loader went on, or it
lost its last writes) the reply is STALE, nothing is written, and the caller starts again from Redis' position.

Whether a run may serve is decided by the registry, in the pointer's slot; the state of a partition (`…:st`) only
guards its keys. Failing or retiring a run therefore changes the registry first and fences the partitions afterwards:
whatever a loader still writes in between lies in keys that no pointer can name any more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import redis

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults, text_of
from publish.store.batches import Batch, hash_text, load_keys, load_words
from publish.store.replies import Reply, Status
from publish.wire.announcement import Announcement
from publish.wire.keys import Layout

MAX_BATCH = 125
"""Records of one atomic call: Redis answers nobody else meanwhile, about half a millisecond."""
_AT_ONCE = 500
"""Users or keys of one round trip."""
_Item = TypeVar("_Item", bytes, str)
_LOAD = ("position", "seen", "load")


@dataclass(frozen=True)
class Position:
    """Next offset to read in a partition of the topic with this id."""

    offset: int
    topic_id: str


@dataclass(frozen=True)
class Step:
    """One move of a partition's position: where the caller believes it to be, and where it will be."""

    partition: int
    believed: Position | None
    after: Position


@dataclass(frozen=True)
class PartitionStatus:
    """How far one partition of a run is; `state` is None before its BEGIN."""

    partition: int
    state: str | None
    count: int
    loaded: int
    reason: str | None
    since: datetime | None = field(default=None, compare=False)
    """When it began."""
    touched: datetime | None = field(default=None, compare=False)
    """When it last changed."""

    @property
    def is_verified(self) -> bool:
        """Whether it was read back and found whole."""
        return self.state == Status.VERIFIED


class RedisStore:
    """The keys of a product's partitions; every method raises StoreUnreachable when Redis does not do its part."""

    def __init__(self, client: StoreClient, *, clock: Clock = utc_now) -> None:
        self.client = client
        self._clock = clock
        scripts = {name: ("position", name) for name in ("begin", "skip", "verified")} | {"load": _LOAD}
        self._scripts = {name: client.register_script(text_of(*parts)) for name, parts in scripts.items()}
        self._erase = client.register_script(text_of("erase"))
        self._fence = client.register_script(text_of("fence"))

    @store_faults()
    def position(self, layout: Layout, partition: int) -> Position | None:
        """Return where loading goes on; None when this partition was never touched."""
        offset, topic_id = self.client.hmget(layout.position(partition), ["offset", "topic_id"])
        return None if offset is None or topic_id is None else Position(int(offset), as_bytes(topic_id).decode())

    @store_faults()
    def begin(self, run: Announcement, step: Step) -> Reply:
        """Open the partition for the run, once."""
        layout, piece = run.layout, run.slices[step.partition]
        keys = [layout.position(step.partition), layout.state(run.run, step.partition)]
        reply = self._call("begin", step, keys, [run.run, piece.count, piece.digest, piece.bytes])
        state = reply[0].decode()
        known = state in (Status.STALE, Status.BEGUN, Status.LOADING)
        return Reply(Status(state)) if known else Reply(Status.OVER, state)

    @store_faults()
    def load_batch(self, run: Announcement, step: Step, batch: Batch) -> Reply:
        """Store at most MAX_BATCH lists, but of erased users only that they came; the same again changes nothing."""
        keys, erased = load_keys(run, step.partition, batch), dict[int, str]()
        while True:
            reply = Reply.of(self._call("load", step, keys, load_words(batch, erased)))
            if reply.status is not Status.ERASED:
                return reply
            erased |= batch.hashes(reply.places)

    @store_faults()
    def load_batches(self, run: Announcement, steps: Sequence[tuple[Step, Batch]]) -> list[Reply]:
        """As `load_batch` for consecutive steps of a partition, in one go; erased users are an answer, ERASED.

        A call whose position is not that of the call before, because that one was refused, is STALE.
        """
        load = self._scripts["load"]
        with self.client.pipeline(transaction=False) as pipe:
            add: Callable[..., object] = pipe.execute_command  # a cluster's pipeline has no evalsha
            for step, batch in steps:
                keys = load_keys(run, step.partition, batch)
                words = (*self._position(step), *load_words(batch, {}))
                add("EVALSHA", load.sha, len(keys), *keys, *words)
            replies = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, redis.exceptions.NoScriptError):  # by whose answer nothing was written
                self.client.script_load(load.script)
                return [self.load_batch(run, step, batch) for step, batch in steps]
            if isinstance(reply, Exception):
                raise reply
        return [Reply.of(reply) for reply in replies]

    @store_faults()
    def erase(self, run: Announcement, partition: int, user: bytes) -> bool:
        """Delete the list of a user who is marked as erased from a run, keeping its hash; whether there was one."""
        bucket = run.layout.bucket(run.run, *run.layout.place_of_key(user))
        while (payload := self.client.hget(bucket, user)) is not None:
            words = [user, payload, hash_text(user, as_bytes(payload))]
            if self._erase(keys=[bucket, run.layout.erased_in(run.run, partition)], args=words):
                return True
        return False

    @store_faults()
    def mark_erased(self, layout: Layout, users: Sequence[bytes]) -> None:
        """From now on no list of these users is stored, in any run; `erase` removes what lies there already."""
        for some in _chunks(users):
            with self.client.pipeline(transaction=False) as pipe:
                for user in some:
                    pipe.sadd(layout.erased(layout.place_of_key(user)[0]), user)
                pipe.execute()

    @store_faults()
    def listed(self, run: Announcement, users: Sequence[bytes]) -> list[bytes]:
        """Return those of the users who have a list in the run."""
        found: list[bytes] = []
        for some in _chunks(users):
            with self.client.pipeline(transaction=False) as pipe:
                for user in some:
                    pipe.hget(run.layout.bucket(run.run, *run.layout.place_of_key(user)), user)
                found += [user for user, payload in zip(some, pipe.execute(), strict=True) if payload is not None]
        return found

    @store_faults()
    def skip(self, layout: Layout, step: Step, *, poison: int = 0, dead: int = 0) -> Reply:
        """Move past messages that are not loaded, counting `poison` against the run in progress and `dead` letters."""
        return Reply.of(self._call("skip", step, [layout.position(step.partition)], [poison, dead]))

    @store_faults()
    def mark_verified(self, run: Announcement, step: Step) -> Reply:
        """Return the partition was read back and is whole."""
        keys = [run.layout.position(step.partition), run.layout.state(run.run, step.partition)]
        return Reply.of(self._call("verified", step, keys, []))

    @store_faults()
    def poison(self, run: Announcement, partition: int) -> int:
        """Unreadable messages in the partition since the run's BEGIN; 0 when another run began after it."""
        name, poison = self.client.hmget(run.layout.position(partition), ["run", "poison"])
        return int(poison) if name == run.run.encode() and poison is not None else 0

    @store_faults()
    def dead_letters(self, layout: Layout) -> int:
        """Dead-lettered messages of all partitions, ever."""
        with self.client.pipeline(transaction=False) as pipe:
            for partition in range(layout.partitions):
                pipe.hget(layout.position(partition), "dead")
            return sum(int(dead) for dead in pipe.execute() if dead is not None)

    @store_faults()
    def progress(self, run: Announcement) -> tuple[PartitionStatus, ...]:
        """Return how far each partition is."""
        with self.client.pipeline(transaction=False) as pipe:
            for partition in range(run.partitions):
                pipe.hmget(run.layout.state(run.run, partition), ["state", "loaded", "reason", "since", "touched"])
            replies = pipe.execute()
        return tuple(
            PartitionStatus(
                piece.partition,
                state.decode(errors="replace") if state is not None else None,
                piece.count,
                _count(loaded),
                reason.decode(errors="replace") if reason is not None else None,
                _time(since),
                _time(touched),
            )
            for piece, (state, loaded, reason, since, touched) in zip(run.slices, replies, strict=True)
        )

    @store_faults()
    def fence(self, run: Announcement, state: str, reason: str) -> None:
        """Stop every loader of a run that is over; safe to repeat."""
        now = self._clock().isoformat()
        for partition in range(run.partitions):
            self._fence(keys=[run.layout.state(run.run, partition)], args=[state, reason, now])

    @store_faults()
    def delete(self, run: Announcement) -> None:
        """Delete the run's partition keys; their states go last, so that an interrupted call can be repeated."""
        for partition in range(run.partitions):
            layout = run.layout
            keys = [
                *layout.bucket_keys(run.run, partition),
                layout.seen(run.run, partition),
                layout.erased_in(run.run, partition),
            ]
            for some in _chunks(keys):
                self.client.unlink(*some)
            self.client.unlink(run.layout.state(run.run, partition))

    def _call(self, name: str, step: Step, keys: list[str], args: Sequence[str | bytes | int]) -> list[bytes]:
        reply: list[bytes] = self._scripts[name](keys=keys, args=[*self._position(step), *args])
        return reply

    def _position(self, step: Step) -> list[str | int]:
        """Return the ARGV that position.lua takes."""
        believed = ("", "") if step.believed is None else (step.believed.offset, step.believed.topic_id)
        return [*believed, step.after.offset, step.after.topic_id, self._clock().isoformat()]


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _count(raw: bytes | None) -> int:
    """Return a number that a loader wrote; 0 also for what none of them would write, which is not VERIFIED either."""
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 20 else 0


def _time(raw: bytes | None) -> datetime | None:
    """Return a time that a loader wrote; None also for what none of them would write, because it decides nothing."""
    try:
        found = None if raw is None else datetime.fromisoformat(raw.decode())
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found
