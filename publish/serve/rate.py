"""A bound on requests per second."""

import time
from collections.abc import Callable


class Rate:
    """A bucket of tokens, one per request: `per_second` come in, and twice as many can wait in it."""

    def __init__(self, per_second: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._clock = per_second, clock
        self._tokens, self._at = 2.0 * per_second, clock()

    def take(self) -> bool:
        """Returns whether one more request is within the bound."""
        now = self._clock()
        self._tokens = min(2.0 * self._per_second, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
