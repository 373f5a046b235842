"""A log of pointers and their history that is in memory, and can be away; and what it kept, read as Kafka's is."""

from collections.abc import Mapping, Sequence
from typing import Literal

from publish.connect.confirmed_sender import Outgoing
from publish.errors import DeliveryError
from publish.runs.history import History, HistoryEntry
from publish.runs.pointer import Pointer
from publish.wire.keys import ProductKeys

Killed = type("Killed", (BaseException,), {})
"""The end of a process."""


class Log:
    """Keeps what it is given; `state` says what becomes of a call."""

    def __init__(self, product: str) -> None:
        self.keys = ProductKeys(product)
        self.state: Literal["up", "down", "between the topics", "no answer", "killed before", "killed after"] = "up"
        self.kept: dict[str, list[bytes]] = {self.keys.pointer_topic: [], self.keys.history_topic: []}

    def append(self, product: str, batches: Mapping[str, Sequence[Outgoing]]) -> None:
        if self.state == "killed before":
            raise Killed
        if self.state == "down":
            raise DeliveryError("down")
        for topic, messages in batches.items():
            self.kept[topic] += [message.value for message in messages if message.value is not None]
            if self.state == "between the topics":
                raise DeliveryError("the broker went away in between")
        if self.state == "killed after":
            raise Killed
        if self.state == "no answer":
            raise DeliveryError("stored, and the answer was lost")

    def pointer(self) -> Pointer:
        """As publish.runs.run_log.kept_pointer."""
        kept = self.kept[self.keys.pointer_topic]
        return Pointer.model_validate_json(kept[-1]) if kept else Pointer()

    def history(self) -> History:
        """As publish.runs.history.kept_history."""
        return History.of(HistoryEntry.model_validate_json(value) for value in self.kept[self.keys.history_topic])
