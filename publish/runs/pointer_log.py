"""The way of the pointer and its history into Kafka, which keeps both for the day when Redis is lost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from conf.digest import sha256_of
from publish.connect.kafka_out import Outgoing
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults
from publish.wire.keys import ProductKeys


class PointerLog(Protocol):
    """Keeps pointers and their history outside Redis (publish.connect.kafka_out.KafkaPointerLog)."""

    def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
        """Store the messages of each topic durably, in this order; raises PublishError."""


class Unsent:
    """Entries of a product's history that Kafka may not have yet; every method raises StoreUnreachable.

    Redis writes them in the call that changes the pointer; each leaves the list when the log has it, so that whoever
    was killed, refused or unlucky on the way leaves it to the next one. Two who send at once send some of them twice.
    """

    def __init__(self, client: StoreClient, product: str) -> None:
        self._client = client
        self._key = ProductKeys(product).unsent

    @store_faults()
    def entries(self, number: int = 0) -> list[bytes]:
        """Return the oldest `number` of them; 0: all."""
        return [as_bytes(entry) for entry in self._client.lrange(self._key, 0, number - 1)]

    @store_faults()
    def remove(self, entries: Sequence[bytes]) -> None:
        """Kafka has these. By value and not by number: another sender may have removed some of them meanwhile."""
        with self._client.pipeline(transaction=False) as pipe:
            remove: Callable[..., object] = pipe.lrem  # of bytes as well, which redis-py's types do not know
            for entry in entries:
                remove(self._key, 1, entry)
            pipe.execute()


def message_of(entry: bytes) -> Outgoing:
    """Return an entry under a key of its own: even a topic that was wrongly told to compact would keep every one."""
    return Outgoing(sha256_of(entry).encode(), entry)
