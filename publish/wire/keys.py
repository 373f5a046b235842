"""Every Redis key and topic name of a product. All are computed, so nothing ever scans for keys.

`{…}` in a key is its Redis Cluster hash tag (Redis Cluster specification, "Hash tags"): keys with the same tag share a
slot. So all mutable keys of a product, and all keys of one partition, can be changed in one atomic call.
"""

import binascii
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from conf.ids import UserId
from publish.errors import PublishError

SLOTS = 16_384
"""Hash slots of a Redis Cluster."""


@dataclass(frozen=True)
class ProductKeys:
    """Keys and topics that depend on the product's name only; the keys share one slot."""

    product: str

    @property
    def runs(self) -> str:
        """Hash: `<run>` → announcement JSON, `<run>:state` → state JSON."""
        return f"{{{self.product}}}:runs"

    @property
    def pointer(self) -> str:
        """JSON: the pointer to the serving runs; the only mutable key that readers use."""
        return f"{{{self.product}}}:ptr"

    @property
    def history(self) -> str:
        """List: the newest entries of the pointer's history, oldest first (runs.history.HistoryEntry as JSON)."""
        return f"{{{self.product}}}:ptr:history"

    @property
    def unsent(self) -> str:
        """List: history entries that Kafka may not have yet, oldest first."""
        return f"{{{self.product}}}:ptr:unsent"

    @property
    def epoch(self) -> str:
        """Counter: the epoch of the newest run."""
        return f"{{{self.product}}}:epoch"

    @property
    def restoring(self) -> str:
        """JSON: the pointer that a running rebuild will restore."""
        return f"{{{self.product}}}:restoring"

    @property
    def lease(self) -> str:
        """JSON with a time to live: the lease of the one run that may be under way."""
        return f"{{{self.product}}}:lease"

    @property
    def lease_token(self) -> str:
        """Counter: the newest fencing token of a lease."""
        return f"{{{self.product}}}:lease:token"

    @staticmethod
    def state_field(run: str) -> str:
        """Returns the field of `runs` that holds the run's state."""
        return f"{run}:state"

    @property
    def topic(self) -> str:
        """Topic of BEGIN, lists and END."""
        return f"{self.product}.topn.v1"

    @property
    def dead_letter_topic(self) -> str:
        """Topic of records that could not be loaded."""
        return f"{self.product}.topn.v1.dead"

    @property
    def loader_group(self) -> str:
        """Consumer group of the product's loaders."""
        return f"{self.product}.loader"

    @property
    def pointer_topic(self) -> str:
        """Compacted topic of the last pointer, keyed by product, to restore it when Redis is lost."""
        return f"{self.product}.pointer.v1"

    @property
    def history_topic(self) -> str:
        """Topic of every change of the pointer, with reason and author; retained for ever."""
        return f"{self.product}.pointer-history.v1"

    @property
    def runs_topic(self) -> str:
        """Compacted topic of every announcement, keyed by run, to restore them when Redis is lost."""
        return f"{self.product}.runs.v1"

    @property
    def erasures_topic(self) -> str:
        """Compacted topic of users who must be forgotten, keyed by user id as UTF-8."""
        return f"{self.product}.erasures.v1"

    @property
    def exposures_topic(self) -> str:
        """Topic of what was answered to whom, keyed by user id as UTF-8."""
        return f"{self.product}.exposures.v1"


@dataclass(frozen=True)
class Layout(ProductKeys):
    """The Redis keys of a run's lists: `partitions` × `buckets` hashes, one hash tag per partition."""

    partitions: int
    buckets: int
    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.partitions < 1 or self.buckets < 1 or len(self.tags) != self.partitions:
            raise PublishError(
                f"{self.product}: {self.partitions} partitions, {self.buckets} buckets, {len(self.tags)} tags; "
                "each must be at least 1, with one tag per partition"
            )

    @classmethod
    def plan(cls, product: str, partitions: int, users: int, users_per_bucket: int) -> "Layout":
        """Returns the layout for a run of `users` users, with about `users_per_bucket` in each hash."""
        return cls(
            product, partitions, bucket_count(users, partitions, users_per_bucket), hash_tags(product, partitions)
        )

    def partition_of(self, user_id: UserId) -> int:
        """Returns the user's Kafka partition (conf.ids.partition_of)."""
        return self.place_of(user_id)[0]

    def place_of(self, user_id: UserId) -> tuple[int, int]:
        """Returns the user's partition and bucket, from one CRC32 (conf.ids.partition_of and bucket_of)."""
        return self.place_of_key(str(user_id).encode())

    def place_of_key(self, key: bytes) -> tuple[int, int]:
        """Returns partition and bucket of a record's key (the user id as UTF-8)."""
        bucket, partition = divmod(zlib.crc32(key), self.partitions)
        return partition, bucket % self.buckets

    def bucket(self, run: str, partition: int, bucket: int) -> str:
        """Returns the key of a bucket, a hash user id → payload."""
        return f"{{{self.tags[partition]}}}:{run}:b:{bucket}"

    def bucket_keys(self, run: str, partition: int) -> Iterator[str]:
        """Returns the keys of all buckets in one partition of a run."""
        return (self.bucket(run, partition, bucket) for bucket in range(self.buckets))

    def seen(self, run: str, partition: int) -> str:
        """Returns the key of a bitmap; bit `seq` is set once that record is loaded."""
        return f"{{{self.tags[partition]}}}:{run}:seen"

    def state(self, run: str, partition: int) -> str:
        """Returns the key of a hash with state and slice of the partition."""
        return f"{{{self.tags[partition]}}}:{run}:st"

    def erased(self, partition: int) -> str:
        """Returns the key of a set: users of the partition who must be forgotten, in every run."""
        return f"{{{self.tags[partition]}}}:erased"

    def erased_in(self, run: str, partition: int) -> str:
        """Returns the key of a hash: erased user → wire.digest.record_hash of their record, 16 hex digits."""
        return f"{{{self.tags[partition]}}}:{run}:erased"

    def position(self, partition: int) -> str:
        """Returns the key of a hash with the next offset to read and the id of the topic."""
        return f"{{{self.tags[partition]}}}:pos"


def bucket_count(users: int, partitions: int, users_per_bucket: int) -> int:
    """Returns buckets per partition for about `users_per_bucket` users in each; at least 1."""
    return max(1, -(-users // (partitions * users_per_bucket)))


def synced_key(tag: str) -> str:
    """Returns the key of a counter of replica checks for this hash tag (store.durability)."""
    return f"{{{tag}}}:synced"


def slot_of(tag: str) -> int:
    """Returns the hash slot of a tag: CRC16 (XMODEM) modulo 16,384, as Redis Cluster computes it."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


@lru_cache(maxsize=32)
def hash_tags(product: str, partitions: int) -> tuple[str, ...]:
    """Returns one hash tag per partition, the same ones on every call.

    The i-th tag's slot lies in the i-th of `partitions` equal ranges, so that partitions spread evenly over masters.
    """
    tags: dict[int, str] = {}
    for number in itertools.count():
        tag = f"{product}.{number}"
        tags.setdefault(slot_of(tag) * partitions // SLOTS, tag)
        if len(tags) == partitions:
            return tuple(tags[band] for band in range(partitions))
    raise AssertionError  # itertools.count never ends
