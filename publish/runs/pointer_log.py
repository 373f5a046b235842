"""Copies the pointer and its history to Kafka, in case Redis is lost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from conf.digest import sha256_of
from publish.connect.confirmed_sender import Outgoing
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults
from publish.wire.keys import ProductKeys


class PointerLog(Protocol):
    """Keeps pointers and their history outside Redis (publish.connect.confirmed_sender.KafkaPointerLog)."""

    def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
        """Stores the messages of each topic durably, in this order; raises PublishError."""


class Unsent:
    """History entries of a product that Kafka may not have yet; every method raises StoreUnreachable.

    Redis adds them in the call that changes the pointer; each is removed once the log has it. If a process fails in
    between, the next one sends them; two processes sending at once may send some twice.
    """

    def __init__(self, client: StoreClient, product: str) -> None:
        self._client = client
        self._key = ProductKeys(product).unsent

    @store_faults()
    def entries(self, number: int = 0) -> list[bytes]:
        """Returns the oldest `number` of them; 0: all."""
        return [as_bytes(entry) for entry in self._client.lrange(self._key, 0, number - 1)]

    @store_faults()
    def remove(self, entries: Sequence[bytes]) -> None:
        """Removes entries that Kafka has; by value, since another sender may have removed some meanwhile."""
        with self._client.pipeline(transaction=False) as pipe:
            remove: Callable[..., object] = pipe.lrem  # redis-py's types lack bytes
            for entry in entries:
                remove(self._key, 1, entry)
            pipe.execute()


def message_of(entry: bytes) -> Outgoing:
    """Returns the message for an entry, with its own key, so that even a wrongly compacted topic keeps every entry."""
    return Outgoing(sha256_of(entry).encode(), entry)
