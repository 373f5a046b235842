"""Keeps records that cannot be loaded, unchanged, with the reason and their origin."""

from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import Message

from publish.connect.confirmed_sender import ConfirmedSender, Outgoing
from publish.errors import DeliveryError
from publish.wire.messages import raw_bytes


class DeadLetter(NamedTuple):
    """A record and the reason why it is not loaded."""

    message: Message
    reason: str


class DeadLetterQueue:
    """The dead-letter topic of a product; a letter is acknowledged before the loader's position moves past it.

    A loader that dies in between writes the letter again: at least once. Headers: reason, topic, partition, offset. A
    record too large for the topic is kept without its value, with its size in the header `dropped_value_bytes`.
    """

    def __init__(self, sender: ConfirmedSender, topic: str) -> None:
        self._sender = sender
        self.topic = topic

    def dead_letter(self, letters: Sequence[DeadLetter]) -> None:
        """Writes the letters and waits until all are acknowledged; raises DeliveryError."""
        if not letters:
            return
        oversize = self._sender.send(self.topic, [_outgoing(letter) for letter in letters])
        if oversize and (left := self._sender.send(self.topic, [_without_value(letter) for letter in oversize])):
            raise DeliveryError(f"{self.topic}: {len(left)} dead letters are too large even without their value")


def _outgoing(letter: DeadLetter) -> Outgoing:
    message = letter.message
    headers = [
        ("reason", letter.reason.encode()),
        ("topic", str(message.topic()).encode()),
        ("partition", str(message.partition()).encode()),
        ("offset", str(message.offset()).encode()),
    ]
    return Outgoing(raw_bytes(message.key()), raw_bytes(message.value()), headers)


def _without_value(letter: Outgoing) -> Outgoing:
    size = len(letter.value) if letter.value is not None else 0
    return Outgoing(letter.key, None, [*letter.headers, ("dropped_value_bytes", str(size).encode())])
