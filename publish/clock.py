"""The clock as an argument, so that tests can set the time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time now, with its time zone."""


def utc_now() -> datetime:
    """Returns the time now in UTC."""
    return datetime.now(UTC)
