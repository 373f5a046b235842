"""Copies of a product's announcements and pointers in Kafka, to restore them when Redis is lost.

Both are in compacted topics, which keep the last record of each run, and of the product, for ever.
"""

import logging

from pydantic import ValidationError

from conf.connections import KafkaConnection
from publish.connect.confirmed_sender import Outgoing, send_confirmed
from publish.connect.topic_reader import latest, read_topic
from publish.errors import MalformedMessage, RunRefused
from publish.runs.pointer import Pointer
from publish.runs.registry import RunRegistry
from publish.runs.run import read_announcement
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)


class KafkaRunLog:
    """Writes announcements to the compacted topic `<product>.runs.v1`, keyed by run."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self._kafka = kafka

    def append(self, announcement: Announcement) -> None:
        """Writes an announcement and waits until it is acknowledged, before the first BEGIN; raises DeliveryError."""
        topic = announcement.layout.runs_topic
        send_confirmed(
            self._kafka,
            f"discovery-runs-{announcement.product}",
            {topic: [Outgoing(announcement.run.encode(), announcement.canonical)]},
            if_too_large=f"raise max.message.bytes of {topic}, or make lists.fallback_size smaller",
        )


def kept_runs(kafka: KafkaConnection, keys: ProductKeys) -> tuple[Announcement, ...]:
    """Returns every announced run that can be read, oldest first; raises BrokerUnreachable."""
    runs = []
    for record in latest(read_topic(kafka, keys.runs_topic)).values():
        try:
            runs.append(read_announcement(keys.product, (record.key or b"").decode(errors="replace"), record.value))
        except MalformedMessage as fault:
            _LOG.error("%s: the record at offset %d is left out: %s", keys.runs_topic, record.offset, fault)
    return tuple(sorted(runs, key=lambda run: run.epoch))


def kept_pointer(kafka: KafkaConnection, keys: ProductKeys) -> Pointer:
    """Returns the last pointer in Kafka, revision 0 if none; raises BrokerUnreachable, MalformedMessage."""
    record = latest(read_topic(kafka, keys.pointer_topic)).get(keys.product.encode())
    if record is None or record.value is None:
        return Pointer()
    try:
        return Pointer.model_validate_json(record.value)
    except ValidationError:
        raise MalformedMessage(
            f"{keys.pointer_topic}: offset {record.offset} has no pointer that this version can read"
        ) from None


def refuse_if_lost(registry: RunRegistry, kafka: KafkaConnection) -> None:
    """Raises RunRefused if Kafka has runs and Redis has none, since Redis would issue old epochs again."""
    if not registry.knows_anything() and (runs := kept_runs(kafka, registry.keys)):
        raise RunRefused(
            f"Redis knows no run of {registry.keys.product}, and Kafka keeps {len(runs)} (the newest is "
            f"{runs[-1].run}): Redis lost its data; `discovery rebuild` restores it, then start the run again"
        )
