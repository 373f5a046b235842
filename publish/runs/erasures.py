"""Users who must be forgotten, kept in the compacted topic `<product>.erasures.v1`, keyed by user.

Redis has the same users as sets, one per partition, so that loading and serving need no Kafka for it. The topic is the
source of truth, from which Redis is restored after a loss.
"""

from collections.abc import Collection, Iterable

from pydantic import AwareDatetime, Field, ValidationError

from conf.base import Strict
from conf.connections import KafkaConnection
from conf.ids import IdKind, UserId, parse_int64
from publish.connect.confirmed_sender import Outgoing, send_confirmed
from publish.connect.redis_clients import StoreClient
from publish.connect.topic_reader import TopicRecord, latest, read_topic
from publish.errors import BadUserId, MalformedMessage
from publish.runs.run import RegisteredRun
from publish.store.redis_store import RedisStore
from publish.wire.keys import Layout, ProductKeys
from publish.wire.user_ids import user_key


class Erasure(Strict):
    """One user who must be forgotten."""

    user: str = Field(min_length=1)
    """The id as text, as in every key."""
    at: AwareDatetime
    """Time of the request."""
    reason: str

    @property
    def key(self) -> bytes:
        """The user's key in Redis and Kafka."""
        return self.user.encode()


class ErasureLog:
    """Reads and writes the erasures of one product in Kafka; each reply may take `timeout` seconds."""

    def __init__(self, kafka: KafkaConnection, product: str, *, timeout: float = 30.0) -> None:
        self.topic = ProductKeys(product).erasures_topic
        self._kafka = kafka
        self._product = product
        self._timeout = timeout

    def append(self, erasure: Erasure) -> None:
        """Writes an erasure and waits for the broker's acknowledgement; raises DeliveryError."""
        send_confirmed(
            self._kafka,
            f"discovery-erasures-{self._product}",
            {self.topic: [Outgoing(erasure.key, erasure.model_dump_json().encode())]},
            if_too_large="give a shorter reason",
            timeout=self._timeout,
        )

    def read(self) -> tuple[Erasure, ...]:
        """Returns every erasure, oldest first; raises BrokerUnreachable, MalformedMessage."""
        records = latest(read_topic(self._kafka, self.topic, timeout=self._timeout)).values()
        found = (self._erasure(record) for record in records)
        return tuple(sorted(found, key=lambda erasure: (erasure.at, erasure.user)))

    def _erasure(self, record: TopicRecord) -> Erasure:
        # Skipping an unreadable erasure would bring that user back.
        try:
            erasure = Erasure.model_validate_json(record.value if record.value is not None else b"")
        except ValidationError:
            raise self._malformed(record, "is not an erasure of a version known here") from None
        if erasure.key != record.key:
            raise self._malformed(record, "is about another user than its key")
        return erasure

    def _malformed(self, record: TopicRecord, what: str) -> MalformedMessage:
        return MalformedMessage(
            f"{self.topic}: the record at offset {record.offset} of partition {record.partition} {what}; "
            "upgrade, or send a right one under the same key"
        )


def erased_ids(erasures: Iterable[Erasure], ids: IdKind, product: str) -> frozenset[UserId]:
    """Returns the erased users as ids of kind `ids`; raises MalformedMessage for an id of another kind."""
    if ids == "string":  # any text is a string id
        return frozenset[UserId](erasure.user for erasure in erasures)
    numbers = [(erasure.user, parse_int64(erasure.user)) for erasure in erasures]
    users = frozenset[UserId](text if number is None else number for text, number in numbers)
    try:
        for user in users:
            user_key(user, ids, product)
    except BadUserId:
        raise MalformedMessage(
            f"{ProductKeys(product).erasures_topic}: one erasure is of a user whose id is not {ids}, as those of "
            f"{product} are; it is of another product, or `ids` in the settings is wrong"
        ) from None
    return users


def restore_erasures(kafka: KafkaConnection, client: StoreClient, layouts: Collection[Layout]) -> None:
    """Marks all erased users in Redis again, before lists are loaded; raises BrokerUnreachable, MalformedMessage."""
    store = RedisStore(client)
    for product in {layout.product for layout in layouts}:
        keys = [erasure.key for erasure in ErasureLog(kafka, product).read()]
        for layout in layouts:
            store.mark_erased(layout, keys)


def enforce_erasures(
    store: RedisStore,
    runs: Iterable[RegisteredRun],
    layout: Layout,
    partitions: Collection[int],
    erasures: Iterable[Erasure],
) -> None:
    """Marks the erased users of these partitions again and deletes their lists, in case Redis lost writes."""
    keys = [erasure.key for erasure in erasures if layout.partition_of(erasure.user) in partitions]
    store.mark_erased(layout, keys)
    for run in runs:
        if run.status.cleared is None:
            for key in store.listed(run.announcement, keys):
                erase_from(store, [run], key)


def erase_from(store: RedisStore, runs: Iterable[RegisteredRun], key: bytes) -> tuple[str, ...]:
    """Deletes the list of a user marked as erased from each run; returns the names of the runs that had one."""
    return tuple(
        run.name
        for run in runs
        for layout in [run.announcement.layout]
        if store.erase(run.announcement, layout.place_of_key(key)[0], key)
    )
