"""The lists of a run in Redis: every change to a partition is one atomic call that also moves its position.

Position, state, bitmap and lists of a partition share a hash tag, hence a slot, and change together or not at all. A
caller passes the position it expects. If Redis has another one (the caller was frozen and another loader continued, or
Redis lost its last writes) the reply is STALE, nothing is written, and the caller starts again from Redis' position.

Whether a run may serve is decided by the registry, in the pointer's slot; the state of a partition (`…:st`) only
protects its keys. Failing or retiring a run therefore changes the registry first and fences the partitions afterwards:
whatever a loader still writes in between is under keys that no pointer can name any more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import redis

from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults, text_of
from publish.store.replies import Reply, Status
from publish.wire.announcement import Announcement
from publish.wire.digest import record_hash_text
from publish.wire.keys import Layout

if TYPE_CHECKING:
    from publish.store.batches import Batch  # numpy's arrays, which only a loader has

MAX_BATCH = 125
"""Records in one atomic call, which blocks Redis for about half a millisecond."""
_AT_ONCE = 500
"""Users or keys in one round trip."""
_Item = TypeVar("_Item", bytes, str)
_LOAD = ("position", "seen", "load")


@dataclass(frozen=True)
class Position:
    """Next offset to read in a partition of the topic with this id."""

    offset: int
    topic_id: str


@dataclass(frozen=True)
class Step:
    """One move of a partition's position: the position that the caller expects, and the one after."""

    partition: int
    believed: Position | None
    after: Position


@dataclass(frozen=True)
class PartitionStatus:
    """Loading progress of one partition of a run; `state` is None before its BEGIN."""

    partition: int
    state: str | None
    count: int
    loaded: int
    reason: str | None
    since: datetime | None = field(default=None, compare=False)
    """Time of its BEGIN."""
    touched: datetime | None = field(default=None, compare=False)
    """Time of its last change."""

    @property
    def is_verified(self) -> bool:
        """Whether it was read back and matched the announcement."""
        return self.state == Status.VERIFIED


class RedisStore:
    """The keys of a product's partitions; every method raises StoreUnreachable if Redis fails."""

    def __init__(self, client: StoreClient, *, clock: Clock = utc_now) -> None:
        self.client = client
        self._clock = clock
        scripts = {name: ("position", name) for name in ("begin", "skip", "verified")} | {"load": _LOAD}
        self._scripts = {name: client.register_script(text_of(*parts)) for name, parts in scripts.items()}
        self._erase = client.register_script(text_of("erase"))
        self._fence = client.register_script(text_of("fence"))

    @store_faults()
    def position(self, layout: Layout, partition: int) -> Position | None:
        """Returns where loading continues; None if the partition was never loaded."""
        offset, topic_id = self.client.hmget(layout.position(partition), ["offset", "topic_id"])
        return None if offset is None or topic_id is None else Position(int(offset), as_bytes(topic_id).decode())

    @store_faults()
    def begin(self, run: Announcement, step: Step) -> Reply:
        """Opens the partition for the run; repeating it changes nothing."""
        layout, piece = run.layout, run.slices[step.partition]
        keys = [layout.position(step.partition), layout.state(run.run, step.partition)]
        reply = self._call("begin", step, keys, [run.run, piece.count, piece.digest, piece.bytes])
        state = reply[0].decode()
        known = state in (Status.STALE, Status.BEGUN, Status.LOADING)
        return Reply(Status(state)) if known else Reply(Status.OVER, state)

    @store_faults()
    def load_batch(self, run: Announcement, step: Step, batch: "Batch") -> Reply:
        """Stores at most MAX_BATCH lists; of erased users only the hash. Repeating it changes nothing."""
        keys, erased = batch.keys(run, step.partition), dict[int, str]()
        while True:
            reply = Reply.of(self._call("load", step, keys, batch.words(erased)))
            if reply.status is not Status.ERASED:
                return reply
            erased |= batch.hashes(reply.places)

    @store_faults()
    def load_batches(self, run: Announcement, steps: Sequence[tuple[Step, "Batch"]]) -> list[Reply]:
        """Does `load_batch` for consecutive steps of a partition in one round trip; may reply ERASED for erased users.

        Replies STALE for every call after one that was refused, since its position is not the expected one.
        """
        load = self._scripts["load"]
        with self.client.pipeline(transaction=False) as pipe:
            add: Callable[..., object] = pipe.execute_command  # a cluster's pipeline lacks evalsha
            for step, batch in steps:
                keys = batch.keys(run, step.partition)
                words = (*self._position(step), *batch.words({}))
                add("EVALSHA", load.sha, len(keys), *keys, *words)
            replies = pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, redis.exceptions.NoScriptError):  # this reply means that nothing was written
                self.client.script_load(load.script)
                return [self.load_batch(run, step, batch) for step, batch in steps]
            if isinstance(reply, Exception):
                raise reply
        return [Reply.of(reply) for reply in replies]

    @store_faults()
    def erase(self, run: Announcement, partition: int, user: bytes) -> bool:
        """Replaces the list of a user marked as erased by its hash, in one run; returns whether there was a list."""
        bucket = run.layout.bucket(run.run, *run.layout.place_of_key(user))
        while (payload := self.client.hget(bucket, user)) is not None:
            words = [user, payload, record_hash_text(user, as_bytes(payload))]
            if self._erase(keys=[bucket, run.layout.erased_in(run.run, partition)], args=words):
                return True
        return False

    @store_faults()
    def mark_erased(self, layout: Layout, users: Sequence[bytes]) -> None:
        """Marks users so that no run stores a list of them any more; `erase` deletes those stored already."""
        for some in _chunks(users):
            with self.client.pipeline(transaction=False) as pipe:
                for user in some:
                    pipe.sadd(layout.erased(layout.place_of_key(user)[0]), user)
                pipe.execute()

    @store_faults()
    def erased_among(self, layout: Layout, users: Sequence[bytes]) -> set[bytes]:
        """Returns those of the users who are marked as erased."""
        found: set[bytes] = set()
        for some in _chunks(users):
            with self.client.pipeline(transaction=False) as pipe:
                for user in some:
                    pipe.smismember(layout.erased(layout.place_of_key(user)[0]), [user])
                found |= {user for user, (is_erased,) in zip(some, pipe.execute(), strict=True) if is_erased}
        return found

    @store_faults()
    def listed(self, run: Announcement, users: Sequence[bytes]) -> list[bytes]:
        """Returns those of the users who have a list in the run."""
        found: list[bytes] = []
        for some in _chunks(users):
            with self.client.pipeline(transaction=False) as pipe:
                for user in some:
                    pipe.hget(run.layout.bucket(run.run, *run.layout.place_of_key(user)), user)
                found += [user for user, payload in zip(some, pipe.execute(), strict=True) if payload is not None]
        return found

    @store_faults()
    def skip(self, layout: Layout, step: Step, *, poison: int = 0, dead: int = 0) -> Reply:
        """Moves past messages that are not loaded; counts `poison` against the current run, and `dead` letters."""
        return Reply.of(self._call("skip", step, [layout.position(step.partition)], [poison, dead]))

    @store_faults()
    def mark_verified(self, run: Announcement, step: Step) -> Reply:
        """Marks a partition as VERIFIED after it was read back."""
        keys = [run.layout.position(step.partition), run.layout.state(run.run, step.partition)]
        return Reply.of(self._call("verified", step, keys, []))

    @store_faults()
    def poison(self, run: Announcement, partition: int) -> int:
        """Returns the unreadable messages in the partition since the run's BEGIN; 0 if another run began after it."""
        name, poison = self.client.hmget(run.layout.position(partition), ["run", "poison"])
        return int(poison) if name == run.run.encode() and poison is not None else 0

    @store_faults()
    def dead_letters(self, layout: Layout) -> int:
        """Returns the number of dead-lettered messages of all partitions so far."""
        with self.client.pipeline(transaction=False) as pipe:
            for partition in range(layout.partitions):
                pipe.hget(layout.position(partition), "dead")
            return sum(int(dead) for dead in pipe.execute() if dead is not None)

    @store_faults()
    def progress(self, run: Announcement) -> tuple[PartitionStatus, ...]:
        """Returns the loading progress of each partition."""
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
        """Stops all loaders of a run that is over; may be repeated."""
        now = self._clock().isoformat()
        for partition in range(run.partitions):
            self._fence(keys=[run.layout.state(run.run, partition)], args=[state, reason, now])

    @store_faults()
    def delete(self, run: Announcement) -> None:
        """Deletes the run's partition keys; their states go last, so that an interrupted call can be repeated."""
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
        """Returns the ARGV of position.lua."""
        believed = ("", "") if step.believed is None else (step.believed.offset, step.believed.topic_id)
        return [*believed, step.after.offset, step.after.topic_id, self._clock().isoformat()]


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _count(raw: bytes | None) -> int:
    """Returns the number of stored lists; 0 for a value that no loader writes."""
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 20 else 0


def _time(raw: bytes | None) -> datetime | None:
    """Returns a time written by a loader; None for a value that no loader writes, since the time decides nothing."""
    try:
        found = None if raw is None else datetime.fromisoformat(raw.decode())
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found
