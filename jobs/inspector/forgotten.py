"""Who is forgotten: asked at each look, because nothing may be shown of them, also of runs that are older."""

import threading
import time
from collections.abc import Callable

from conf.connections import KafkaConnection
from conf.ids import IdKind, UserId
from publish.runs.erasures import ErasureLog, erased_ids

_SECONDS = 2.0
"""What was read is used for so long, as a reader uses the pointer."""


class Forgotten:
    """The erased users of one product, by the topic that is the source of truth."""

    def __init__(self, read: Callable[[], frozenset[UserId]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._known: tuple[float, frozenset[UserId]] | None = None

    @classmethod
    def of(cls, kafka: KafkaConnection, product: str, ids: IdKind) -> "Forgotten":
        """Reads the topic of erasures."""
        return cls(lambda: erased_ids(ErasureLog(kafka, product).read(), ids, product))

    def has(self, user: UserId) -> bool:
        """Returns whether a user must be forgotten. Raises BrokerUnreachable and MalformedMessage: nobody guesses."""
        with self._lock:
            now = self._clock()
            if self._known is None or now - self._known[0] > _SECONDS:
                self._known = now, self._read()
            return user in self._known[1]
