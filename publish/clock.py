"""The clock as an argument, so that tests can set the time; and the clock of a simulation, if there is one."""

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from conf.simulated_clock import VARIABLE, SimulatedClock

Clock = Callable[[], datetime]
"""Returns the time now, with its time zone."""

_LOG = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Returns the time now in UTC. Raises ConfigError for a simulated clock that cannot be used."""
    simulated = _simulated()
    return datetime.now(UTC) if simulated is None else simulated.now()


def milliseconds_now() -> int:
    """Returns the time now in milliseconds since 1970. Raises as utc_now."""
    simulated = _simulated()
    return time.time_ns() // 1_000_000 if simulated is None else int(simulated.now().timestamp() * 1_000)


def simulated_moment() -> str:
    """Returns the time of a simulation as Redis' scripts write times; empty where Redis' own clock holds."""
    simulated = _simulated()
    return "" if simulated is None else f"{simulated.now():%Y-%m-%dT%H:%M:%S.%fZ}"


@cache
def _simulated() -> SimulatedClock | None:
    if not os.environ.get(VARIABLE):
        return None
    from conf.environment import Environment  # here, because no other process needs all of it

    clock = Environment.read().clock
    _LOG.warning("warning   times are simulated, since %s is set", VARIABLE)
    return clock
