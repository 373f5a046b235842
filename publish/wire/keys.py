"""Every Redis key and topic name of a product, computed: clearing a run needs no SCAN and a reader no directory.

`{…}` in a key is its Redis Cluster hash tag (Redis Cluster specification, "Hash tags"): what shares a tag shares a
slot, so all mutable keys of a product, and likewise all keys of one partition, can be changed in one atomic call.
"""

import binascii
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from conf.contract import UserId
from publish.errors import PublishError

SLOTS = 16_384
"""Hash slots of a Redis Cluster."""


@dataclass(frozen=True)
class ProductKeys:
    """Keys and topics that follow from the product's name alone; the keys share one slot."""

    product: str

    @property
    def runs(self) -> str:
        """Hash: `<run>` → announcement JSON, `<run>:state` → state JSON."""
        return f"{{{self.product}}}:runs"

    @property
    def pointer(self) -> str:
        """JSON: what serves; the one mutable key that readers look at."""
        return f"{{{self.product}}}:ptr"

    @property
    def history(self) -> str:
        """List: the newest entries of the pointer's history, the oldest first (runs.history.HistoryEntry as JSON)."""
        return f"{{{self.product}}}:ptr:history"

    @property
    def unsent(self) -> str:
        """List: entries of the history that Kafka may not have yet, the oldest first."""
        return f"{{{self.product}}}:ptr:unsent"

    @property
    def epoch(self) -> str:
        """Counter: the epoch of the newest run."""
        return f"{{{self.product}}}:epoch"

    @property
    def restoring(self) -> str:
        """JSON: the pointer that a rebuild under way will restore."""
        return f"{{{self.product}}}:restoring"

    @property
    def lease(self) -> str:
        """JSON with a time to live: the one run that may be on its way."""
        return f"{{{self.product}}}:lease"

    @property
    def lease_token(self) -> str:
        """Counter: fencing tokens of leases."""
        return f"{{{self.product}}}:lease:token"

    @staticmethod
    def state_field(run: str) -> str:
        """Returns the field of `runs` with the run's state."""
        return f"{run}:state"

    @property
    def topic(self) -> str:
        """Topic of the lists, BEGIN and END."""
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
        """Compacted topic of every pointer, keyed by the product, so that it survives Redis."""
        return f"{self.product}.pointer.v1"

    @property
    def history_topic(self) -> str:
        """Topic of every pointer that ever was, with reason and author; nothing in it is ever deleted."""
        return f"{self.product}.pointer-history.v1"

    @property
    def runs_topic(self) -> str:
        """Compacted topic of every announcement, keyed by the run, so that it survives Redis."""
        return f"{self.product}.runs.v1"

    @property
    def erasures_topic(self) -> str:
        """Compacted topic of the users who must be forgotten, keyed by the user id as UTF-8."""
        return f"{self.product}.erasures.v1"


@dataclass(frozen=True)
class Layout(ProductKeys):
    """Where the lists of a run lie: `partitions` × `buckets` Redis hashes; one hash tag per partition."""

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
        """Returns the layout for a run of so many users, about `users_per_bucket` in a hash."""
        return cls(
            product, partitions, bucket_count(users, partitions, users_per_bucket), hash_tags(product, partitions)
        )

    def partition_of(self, user_id: UserId) -> int:
        """Returns the user's Kafka partition, as conf.contract.partition_of."""
        return self.place_of(user_id)[0]

    def place_of(self, user_id: UserId) -> tuple[int, int]:
        """Returns the user's partition and bucket, from one CRC32 (conf.contract.partition_of and bucket_of)."""
        return self.place_of_key(str(user_id).encode())

    def place_of_key(self, key: bytes) -> tuple[int, int]:
        """Partition and bucket of a record's key (the user id as UTF-8)."""
        bucket, partition = divmod(zlib.crc32(key), self.partitions)
        return partition, bucket % self.buckets

    def bucket(self, run: str, partition: int, bucket: int) -> str:
        """Returns hash: user id → payload."""
        return f"{{{self.tags[partition]}}}:{run}:b:{bucket}"

    def bucket_of(self, run: str, user_id: UserId) -> str:
        """Returns the hash that holds the user's list."""
        return self.bucket(run, *self.place_of(user_id))

    def bucket_keys(self, run: str, partition: int) -> Iterator[str]:
        """Returns every bucket of one partition of a run."""
        return (self.bucket(run, partition, bucket) for bucket in range(self.buckets))

    def seen(self, run: str, partition: int) -> str:
        """Bitmap: bit `seq` is set when that record was loaded."""
        return f"{{{self.tags[partition]}}}:{run}:seen"

    def state(self, run: str, partition: int) -> str:
        """Returns hash: state and manifest slice of the partition."""
        return f"{{{self.tags[partition]}}}:{run}:st"

    def erased(self, partition: int) -> str:
        """Set: users of the partition who must be forgotten, in every run."""
        return f"{{{self.tags[partition]}}}:erased"

    def erased_in(self, run: str, partition: int) -> str:
        """Returns hash: erased user → wire.digest.record_hash of the record that the run had for them, as 16 hex
        digits.
        """
        return f"{{{self.tags[partition]}}}:{run}:erased"

    def position(self, partition: int) -> str:
        """Returns hash: next offset of the topic's partition, and the topic's id."""
        return f"{{{self.tags[partition]}}}:pos"


def bucket_count(users: int, partitions: int, users_per_bucket: int) -> int:
    """Buckets per partition for about `users_per_bucket` users in each; at least 1."""
    return max(1, -(-users // (partitions * users_per_bucket)))


def synced_key(tag: str) -> str:
    """Counter: how often anybody asked whether replicas have what lies under this hash tag (store.durability)."""
    return f"{{{tag}}}:synced"


def slot_of(tag: str) -> int:
    """Returns the hash slot of a tag: CRC16 (XMODEM) modulo 16,384, as Redis Cluster computes it."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


@lru_cache(maxsize=32)
def hash_tags(product: str, partitions: int) -> tuple[str, ...]:
    """Returns one tag per partition, its slot in the i-th of `partitions` equal bands: even over masters; always the
    same.
    """
    tags: dict[int, str] = {}
    for number in itertools.count():
        tag = f"{product}.{number}"
        tags.setdefault(slot_of(tag) * partitions // SLOTS, tag)
        if len(tags) == partitions:
            return tuple(tags[band] for band in range(partitions))
    raise AssertionError  # itertools.count never ends
