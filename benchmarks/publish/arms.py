"""Ways to keep lists in the hashes of Redis, and runs that serve in each of them."""

from dataclasses import dataclass

import redis

from benchmarks.publish.push import Load, Push, measure_slices
from benchmarks.publish.world import GeneratedSnapshot, ListShape, make_snapshot
from benchmarks.publish.yardsticks import YardstickFailed
from conf.settings import PublishSettings
from publish.wire.announcement import Announcement, Slice

_ENTRIES = "hash-max-ziplist-entries"  # the name that every version knows


@dataclass(frozen=True)
class Arm:
    """One way to keep lists: users per hash, and the most that Redis keeps in the compact form."""

    users_per_bucket: int
    compact_entries: int = 512

    @property
    def name(self) -> str:
        """The users per bucket, and the form of the hashes unless it is the compact one."""
        return f"{self.users_per_bucket}{'' if self.compact_entries > 1 else ' hashtable'}"

    @property
    def forms(self) -> tuple[str, ...]:
        """What Redis may call the form of its hashes."""
        return ("listpack", "ziplist") if self.compact_entries > 1 else ("hashtable",)


@dataclass(frozen=True)
class Input:
    """A snapshot in the order of one number of users per bucket."""

    snapshot: GeneratedSnapshot
    slices: tuple[Slice, ...]

    @classmethod
    def of(cls, table: ListShape, users: int, settings: PublishSettings) -> "Input":
        """Draws the lists; their contents are the same for every number of users per bucket."""
        snapshot = make_snapshot(table, users, settings)
        return cls(snapshot, measure_slices(snapshot)[0])


def pushed(push: Push, arm: Arm) -> tuple[Announcement, Load]:
    """Pushes a run that serves then, with the arm's form of hashes. Raises YardstickFailed if Redis chose another."""
    push.client.config_set(_ENTRIES, arm.compact_entries)
    run = push.announce()
    push.send(run)
    load = push.load(run)
    if (form := encoding_of(push.client, run)) not in arm.forms:
        raise YardstickFailed(f"hashes of {arm.users_per_bucket} users are kept as {form}")
    return run, load


def encoding_of(client: redis.Redis, run: Announcement) -> str:
    """Returns the form in which Redis keeps the fullest of some hashes of the run."""
    keys = list(run.layout.bucket_keys(run.run, 0))[:16]
    fullest = max(keys, key=client.hlen)
    return bytes(client.object("encoding", fullest)).decode()
