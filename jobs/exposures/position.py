"""Where landing stands, for `discovery status`, which waits for no library of tables."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import KafkaException

from conf.connections import KafkaConnection
from conf.location import Location
from publish.connect.clients import admin_client, describe_topic
from publish.connect.watermarks import unread, watermarks
from publish.wire.keys import ProductKeys

_STATE = "_landing/state.json"  # of jobs.exposures.store, which imports pyarrow


class Position(NamedTuple):
    """Records of the topic that are not landed yet, and the time of the last landing; None: there was none."""

    waiting: int
    landed_at: str | None


def position(home: str, product: str, kafka: KafkaConnection) -> Position | None:
    """Returns where landing stands; None where nothing was ever answered or this user may not look at the topic."""
    topic = ProductKeys(product).exposures_topic
    state = _state(Location.parse(home).child(f"exposures/{product}"))
    try:
        found = describe_topic(admin_client(kafka), topic)
        if found is None:
            return None
        positions = state.get("positions", {}) if state.get("topic_id") == str(found.topic_id) else {}
        bounds = watermarks(kafka, topic, range(len(found.partitions)))
    except (KafkaException, TimeoutError):
        return None
    if not state and all(high == 0 for _, high in bounds.values()):
        return None
    starts = {int(partition): int(start) for partition, start in positions.items()}
    return Position(unread(bounds, starts), state.get("landed_at"))


def _state(folder: Location) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        if folder.is_local:
            return dict(json.loads((Path(folder.path) / _STATE).read_bytes()))
        from jobs.storage.store import Storage  # only where the work folder is in an object store

        return dict(json.loads(Storage(str(folder)).read_bytes(_STATE)))
    return {}
