"""Judges how each push ended, whether it was allowed to end so, and whether what serves is whole."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.crash.journal import Journal
from benchmarks.crash.plan import order_of
from benchmarks.crash.push import PRODUCT
from benchmarks.crash.pushes import HuntedPush
from benchmarks.crash.readers import CACHE_SECONDS, Forbidden, Readers
from benchmarks.crash.truth import PushedLists
from conf.connections import KafkaConnection
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import store_faults
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RunState
from publish.runs.run_log import kept_pointer
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import Layout

_TIME = ("no progress for", "deadline of", "is older than what serves", "serves already")
"""Reasons for which a push with whole records may be FAILED."""
_RIVALRY = ("unreadable records", "came twice", "came again", "lies beyond")
"""Further ones when two pushes overlapped, or Redis lost an epoch with its last second and assigned it twice."""
_REOPENED_SECONDS = 5.0
_SIGHT_SECONDS = 1.0  # longer than one Sight of a reader


class Verdict(StrEnum):
    """How a push ended."""

    SERVED = "served"
    HELD = "held"
    FAILED = "failed"
    LOST = "never announced"


@dataclass
class _Believed:
    """A pointer, when it was read first, and until when readers were seen to follow it."""

    pointer: Pointer
    at: float
    followed: float


class Judge:
    """Looks at Redis from outside; every method raises StoreUnreachable while Redis is away."""

    def __init__(
        self, client: StoreClient, truth: PushedLists, readers: Readers, forbidden: Forbidden, journal: Journal
    ) -> None:
        self._client, self._truth, self._readers, self._forbidden, self._journal = (
            client,
            truth,
            readers,
            forbidden,
            journal,
        )
        self.registry = RunRegistry(client, PRODUCT)
        self.store = RedisStore(client)
        self._pointers = PointerStore(client, PRODUCT)
        self._believed: _Believed | None = None
        self._strays: set[str] = set()

    def verdict(self, push: HuntedPush) -> tuple[Verdict, str] | None:
        """Returns how a sent push ended, and why; None while it has not."""
        found = self.registry.find(push.run)
        if found is None:
            if "ANNOUNCED" in push.names and not self._journal.was("setback", push.began, time.monotonic()):
                self._journal.violation("vanished", f"{push.run} was announced and is gone", push=push.number)
            return Verdict.LOST, push.last_step
        why = found.status.reason if found.status.reason is not None else ""
        pointer = self._pointers.read()
        if found.state is RunState.FAILED:
            return Verdict.FAILED, why
        if found.name in pointer.named.values() or found.status.let_go is not None:
            return Verdict.SERVED, why
        if found.state in (RunState.ROLLED_BACK, RunState.RETIRED):
            return (Verdict.SERVED if found.state is RunState.ROLLED_BACK else Verdict.HELD), why
        if found.state is RunState.READY and found.status.held is not None:
            return Verdict.HELD, found.status.held
        return None

    def judge(self, push: HuntedPush, verdict: Verdict, why: str, *, rivals: bool) -> None:
        """Records a violation unless the push was allowed to end so; `rivals`: another push overlapped it."""
        if verdict in (Verdict.SERVED, Verdict.HELD):
            if not push.plan.may_serve:
                self._violation(push, "damage accepted", f"{verdict} although {push.plan.damage}")
            if "ENDING" not in push.names:
                self._violation(push, "END unsent", f"{verdict} although its END was never sent")
        if verdict is Verdict.FAILED:
            self._forbidden.add(push.run)
            disturbed = rivals or self._journal.was("setback", push.began - _REOPENED_SECONDS, time.monotonic())
            allowed = (*_TIME, *_RIVALRY) if disturbed else _TIME
            if push.plan.may_serve and not any(text in why for text in allowed):
                self._violation(push, "blamed", f"a whole push was FAILED: {why}")

    def inspect(self) -> Pointer | None:
        """Checks the pointer, registry and lists against the truth. Returns None if the pointer moved meanwhile."""
        pointer = self.glance()
        runs = {run.name: run for run in self.registry.list_runs()}
        faults = [
            f"{role} {name}: {fault}"
            for role, name in pointer.named.items()
            for fault in self._faults_of_named(runs.get(name))
        ]
        if pointer.treatment is None:
            faults.append("nothing serves")
        if self._pointers.read().rev != pointer.rev:
            return None
        for fault in faults:
            self._journal.violation("not whole", f"revision {pointer.rev}: {fault}")
        return pointer

    def glance(self) -> Pointer:
        """Reads the pointer and checks that it never goes back and that readers follow it within their cache time."""
        asked = time.monotonic()
        pointer = self._pointers.read()
        read, before = time.monotonic(), self._believed
        if before is None or self._journal.was("setback", before.at, read):
            self._believed = _Believed(pointer, read, read)
            return pointer
        old, new = (p.treatment for p in (before.pointer, pointer))
        if pointer.rev < before.pointer.rev:
            self._journal.violation("pointer", f"revision {before.pointer.rev} became {pointer.rev}")
        if old is not None and (new is None or self._order(new) < self._order(old)):
            self._journal.violation("pointer", f"{old} served, now {new} does, and nobody rolled back")
        if pointer != before.pointer:
            self._believed = _Believed(pointer, read, read)
            return pointer
        for sight in self._readers.sights(max(before.at + CACHE_SECONDS, before.followed), asked):
            if sight.run != pointer.treatment:
                late = sight.since - before.at
                self._journal.violation("stale", f"answer from {sight.run} {late:.1f} s after {pointer.treatment}")
        before.followed = max(asked - _SIGHT_SECONDS, before.followed)
        return pointer

    def is_kept(self, kafka: KafkaConnection) -> bool:
        """Returns whether Kafka holds the same pointer as Redis, from which a lost Redis is restored."""
        return kept_pointer(kafka, self.registry.keys) == self._pointers.read()

    def sweep(self, *, strictly: bool = False) -> None:
        """Looks for keys that belong to no kept run; one that two sweeps find (`strictly`: one sweep) is a leak."""
        if not (runs := self.registry.list_runs()):
            return  # nothing was announced yet, on a slow machine
        kept, strays = _places(runs), set[str]()
        with store_faults():
            for raw in self._client.scan_iter(count=1_000):
                key = raw.decode()
                if key not in kept and not any(key.startswith(prefix) for prefix in kept):
                    strays.add(key)
        for key in sorted(strays if strictly else strays & self._strays)[:5]:
            self._journal.violation("orphan", f"key {key} belongs to nothing ({len(strays)} such keys)")
        self._strays = strays - self._strays

    def _order(self, run: str) -> int:
        return order_of(self._truth.seed, self._truth.number_of(run))

    def _faults_of_named(self, run: RegisteredRun | None) -> list[str]:
        if run is None:
            return ["is not in the registry"]
        faults = [] if run.state is RunState.READY else [f"is {run.state}"]
        if run.status.cleared is not None:
            faults.append("is cleared")
        parts = self.store.progress(run.announcement)
        faults += [f"partition {part.partition} is {part.state}" for part in parts if not part.is_verified]
        return [*faults, *self._faults_of_lists(run.announcement)]

    def _faults_of_lists(self, run: Announcement) -> list[str]:
        """Compares every list of the run, bucket by bucket, with the truth. Returns the differences."""
        faults, layout = [], run.layout
        truth = self._truth.stored(run)
        for partition in range(run.partitions):
            found = self._buckets(layout, run, partition)
            wrong = [bucket for bucket, lists in enumerate(found) if lists != truth.get((partition, bucket), {})]
            if wrong:
                have, want = found[wrong[0]], truth.get((partition, wrong[0]), {})
                users = [user for user in {**have, **want} if have.get(user) != want.get(user)]
                faults.append(
                    f"partition {partition}: {len(wrong)} buckets differ from the truth; in bucket {wrong[0]} the "
                    f"users {users[:3]} ({len(have)} lists instead of {len(want)})"
                )
        return faults

    def _buckets(self, layout: Layout, run: Announcement, partition: int) -> list[dict[bytes, bytes]]:
        with store_faults(), self._client.pipeline(transaction=False) as pipe:
            for key in layout.bucket_keys(run.run, partition):
                pipe.hgetall(key)
            found: list[dict[bytes, bytes]] = pipe.execute()
        return found

    def _violation(self, push: HuntedPush, sort: str, text: str) -> None:
        self._journal.violation(sort, f"{push}: {text}; its publisher: {push.last_step}", push=push.number)


def _places(runs: Sequence[RegisteredRun]) -> set[str]:
    """Returns whole keys, and prefixes of the keys of runs that were not cleared."""
    keys = runs[-1].announcement.layout
    product = {keys.runs, keys.pointer, keys.history, keys.unsent, keys.epoch, keys.lease, keys.lease_token}
    partitions = {keys.position(place) for place in range(keys.partitions)}
    erased = {keys.erased(place) for place in range(keys.partitions)}
    lists = {
        f"{{{tag}}}:{run.name}:"
        for run in runs
        if run.status.cleared is None
        for tag in run.announcement.tags
    }  # fmt: skip
    return product | partitions | erased | lists
