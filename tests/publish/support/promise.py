"""What is promised of every push, whatever happens to it (`kept`), and a product to try it on (`World`)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from conf.connections import KafkaConnection
from conf.ids import UserId, arm_of
from publish.errors import Unavailable
from publish.operate.control import Control
from publish.operate.wait import RunEnding
from publish.read.reader import Reader
from publish.runs.history import HistoryEntry
from publish.runs.housekeeping import GRACE
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RunState
from publish.wire.announcement import Announcement, decode_fallback
from publish.wire.codec import decode
from publish.wire.digest import record_hash
from publish.wire.keys import ProductKeys, synced_key
from publish.wire.messages import ENVELOPE_BYTES
from tests.publish.support.damages import Damage, whole
from tests.publish.support.pushing import (
    PATIENCE,
    announce,
    data_of,
    ending_of,
    lists_of,
    new_product,
    send,
    soon,
    wire_of,
)
from tests.publish.support.samples import Lists
from tests.publish.support.stored_keys import Content, dump, keys_of

Said = tuple[str | None, str, tuple[UserId, ...]]
"""What a reader answers: run, kind of answer, sources."""

USERS = 600
_FOREIGN = 10**9 + 7  # a user of no run


@dataclass
class World:
    """A product, what serves in it, and what lies in Redis for that."""

    kafka: KafkaConnection
    client: redis.Redis
    product: str
    serving: Announcement | None = None
    lists: Lists = field(default_factory=dict)
    before: dict[bytes, Content] = field(default_factory=dict)
    """Every key of the run that serves."""

    @classmethod
    def new(cls, kafka: KafkaConnection, client: redis.Redis) -> "World":
        """A product of its own in which nothing serves."""
        return cls(kafka, client, new_product(kafka))

    def next_lists(self, users: int = USERS) -> Lists:
        """Another week's lists."""
        return lists_of(users, shift=0 if self.serving is None else self.serving.epoch)

    def announce(self, lists: Lists, **changes: Any) -> Announcement:
        """Announce a run; the first one says that it is."""
        return announce(self.client, self.product, lists, **{"first": self.serving is None, **changes})

    def push(self, lists: Lists | None = None, damage: Damage = whole, **changes: Any) -> tuple[Announcement, Lists]:
        """Announce another week's run and send it, damaged."""
        lists = self.next_lists() if lists is None else lists
        run = self.announce(lists, **changes)
        self.send(run, lists, damage)
        return run, lists

    def send(self, run: Announcement, lists: Lists, damage: Damage = whole) -> None:
        """Send an announced run, damaged."""
        send(self.kafka, run.layout.topic, damage(wire_of(run, lists), run))

    def serve(self, users: int = USERS) -> Announcement:
        """Push a run that must serve; a loader runs."""
        run, lists = self.push(self.next_lists(users))
        assert kept(self, run, lists) is RunEnding.SERVING
        return run

    def tidy(self) -> None:
        """Clear what nothing needs, as if an hour had gone by."""
        later = datetime.now(UTC) + GRACE * 2
        Control.connect(self.client, self.product, clock=lambda: later).retire_unneeded()
        soon(lambda: agree(self.client, self.product))

    def now_serves(self, run: Announcement, lists: Lists) -> None:
        """From now on nothing of this run may change."""
        self.serving, self.lists, self.before = run, lists, keys_of(self.client, run)


def kept(world: World, run: Announcement, lists: Lists, *, deadline: float = PATIENCE) -> RunEnding:
    """How a push ended, which it does before `deadline` (seconds); checks the promise, and fails if it is broken.

    Either the run serves and equals its snapshot record for record (but for erased users), to readers and in Redis;
    or it is FAILED (or held) with a reason, and the run before is served byte for byte. And pointer, registry,
    partitions and keys agree.
    """
    waited = ending_of(world.client, run, deadline=deadline)
    state = RunRegistry(world.client, world.product).get(run.run).state
    if waited.ending is RunEnding.SERVING:
        assert state is RunState.READY
        world.now_serves(run, lists)
        assert_keys_equal_snapshot(world.client, run, lists)
    else:
        assert state is (RunState.READY if waited.ending is RunEnding.HELD else RunState.FAILED), waited
        assert waited.reason
    unchanged(world)
    return waited.ending


def unchanged(world: World) -> None:
    """What served goes on serving, byte for byte, and all that Redis knows of the product agrees."""
    assert answers(world.client, world.product, world.lists) == expected(world.client, world.serving, world.lists)
    if world.serving is not None:
        assert keys_of(world.client, world.serving) == world.before
    soon(lambda: agree(world.client, world.product))


def answers(client: redis.Redis, product: str, lists: Lists) -> dict[UserId, Said | str]:
    """What a new reader says of every user of these lists, and of one whom nobody knows."""
    reader = Reader(client, product)
    return {user: _said(reader, user) for user in (*lists, _FOREIGN)}


def expected(client: redis.Redis, run: Announcement | None, lists: Lists) -> dict[UserId, Said | str]:
    """What readers must say while exactly this run serves; None: none does."""
    if run is None:
        return dict.fromkeys((*lists, _FOREIGN), "unavailable")
    pointer, gone = PointerStore(client, run.product).read(), erased(client, run)
    return {user: _right(run, lists, user, pointer, gone) for user in (*lists, _FOREIGN)}


def erased(client: redis.Redis, run: Announcement) -> set[bytes]:
    """Users who must be forgotten."""
    return {user for partition in range(run.partitions) for user in client.smembers(run.layout.erased(partition))}


def assert_keys_equal_snapshot(client: redis.Redis, run: Announcement, lists: Lists) -> None:
    """Every key of the run is what follows from its lists, and there are no others."""
    gone, layout = erased(client, run), run.layout
    wanted: dict[bytes, Content] = {}
    for partition, key, value in data_of(run, lists):
        assert key is not None
        assert value is not None
        payload = value[ENVELOPE_BYTES:]
        home = layout.bucket(run.run, partition, layout.place_of_key(key)[1])
        if key in gone:
            home, payload = layout.erased_in(run.run, partition), f"{record_hash(key, payload):016x}".encode()
        bucket = wanted.setdefault(home.encode(), {})
        assert isinstance(bucket, dict)
        bucket[key] = payload
    found = keys_of(client, run)
    for piece in run.slices:
        seen = found.pop(layout.seen(run.run, piece.partition).encode(), b"")
        state = found.pop(layout.state(run.run, piece.partition).encode(), {})
        assert isinstance(seen, bytes)
        assert isinstance(state, dict)
        assert seen.rstrip(b"\0") == _ones(piece.count)
        assert state[b"state"] == b"VERIFIED"
    assert found == wanted


def agree(client: redis.Redis, product: str) -> None:
    """Pointer, registry, states of partitions and keys say the same."""
    pointer, runs = PointerStore(client, product).read(), RunRegistry(client, product).list_runs()
    found, states = dump(client, product), {run.name: run for run in runs}
    for role, name in pointer.named.items():
        assert states[name].state is RunState.READY, f"{role} {name} is {states[name].state}"
        assert states[name].status.cleared is None
    for run in runs:
        prefixes = tuple(f"{{{tag}}}:{run.name}:".encode() for tag in run.announcement.tags)
        _agrees_with_registry(run, {key: found.pop(key) for key in list(found) if key.startswith(prefixes)})
    own = ProductKeys(product)
    rest = {own.runs, own.pointer, own.epoch, own.lease, own.lease_token, own.restoring, synced_key(product)}
    rest |= {own.history, own.unsent}
    for layout in {run.announcement.layout for run in runs}:
        for partition, tag in enumerate(layout.tags):
            rest |= {layout.position(partition), layout.erased(partition), synced_key(tag)}
    _has_its_entry(pointer, found.get(own.history.encode(), ()))
    strays = found.keys() - {key.encode() for key in rest}
    assert not strays, f"keys of no run: {sorted(strays)[:5]}"


def _has_its_entry(pointer: Pointer, history: Content) -> None:
    """The history ends with the pointer, whoever changed it and whatever happened to them then."""
    if pointer.rev > 0:
        assert isinstance(history, tuple)
        assert HistoryEntry.model_validate_json(history[-1]).pointer == pointer


def _said(reader: Reader, user: UserId) -> Said | str:
    try:
        answer = reader.lookup(user)
    except Unavailable:
        return "unavailable"
    return answer.run, answer.kind, answer.source_ids


def _right(run: Announcement, lists: Lists, user: UserId, pointer: Pointer, gone: set[bytes]) -> Said:
    if arm_of(user, run.salt) >= int(pointer.share_bp):
        return None, "control", ()
    if user in lists and str(user).encode() not in gone:
        return run.run, "list", tuple(lists[user])
    return run.run, "fallback", decode(decode_fallback(run.fallback), run.ids).source_ids[: run.list_size]


def _agrees_with_registry(run: RegisteredRun, own: dict[bytes, Content]) -> None:
    """The keys of a run are those that its state in the registry allows."""
    said, layout = run.announcement, run.announcement.layout
    if run.status.cleared is not None:
        assert not own, f"run {run.name} is cleared and has {len(own)} keys"
    states = {key: value for key, value in own.items() if key.endswith(b":st")}
    parts = {value[b"state"].decode() for value in states.values() if isinstance(value, dict)}
    if run.state is RunState.ANNOUNCED:
        assert not own, f"run {run.name} is only announced and has keys"
    elif run.state is RunState.READY:
        assert (parts, len(states)) == ({"VERIFIED"}, said.partitions), f"run {run.name} is READY"
        lists = [value for key, value in own.items() if b":b:" in key or key.endswith(b":erased")]
        assert sum(len(value) for value in lists) == said.users
    elif run.state is not RunState.LOADING:
        assert "LOADING" not in parts, f"run {run.name} is {run.state} and not fenced"
    its_own: set[str] = set()
    for partition in range(said.partitions):
        its_own.update(layout.bucket_keys(run.name, partition))
        its_own |= {layout.seen(run.name, partition), layout.state(run.name, partition)}
        its_own.add(layout.erased_in(run.name, partition))
    assert own.keys() <= {key.encode() for key in its_own}


def _ones(count: int) -> bytes:
    """A bitmap with so many bits set from the first on; Redis counts from the most significant bit of a byte."""
    whole, rest = divmod(count, 8)
    return b"\xff" * whole + (bytes([256 - 2 ** (8 - rest)]) if rest else b"")
