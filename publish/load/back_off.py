"""Waits longer after each consecutive failure, with a random factor so that loaders do not retry all at once."""

import random
import time
from collections.abc import Callable

_FIRST, _LONGEST = 0.2, 10.0  # seconds


class BackOff:
    """A delay that doubles from 0.2 to 10 seconds until `reset`."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._until = monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it is time to try again."""
        return self._monotonic() >= self._until

    def start(self) -> float:
        """Starts the delay after a failure; returns its seconds."""
        seconds = min(_LONGEST, _FIRST * 2.0**self._failures) * random.uniform(0.8, 1.2)
        self._failures = min(self._failures + 1, 10)
        self._until = self._monotonic() + seconds
        return seconds

    def reset(self) -> None:
        """Ends the series of failures."""
        self._failures = 0
