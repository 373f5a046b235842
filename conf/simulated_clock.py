"""A clock that a simulation sets: on one machine, with servers of its own, weeks are lived in minutes (`make month`).

The variable DISCOVERY_SIMULATED_CLOCK names a file that says what time it is; from then on the clock goes as every
other does. So that nobody who is served in earnest ever gets its times, it is refused unless the file is in a local
work folder, and Kafka and Redis are on loopback; and every process says once that its times are simulated.
"""

import datetime as dt
import ipaddress
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from conf.errors import ConfigError

VARIABLE = "DISCOVERY_SIMULATED_CLOCK"


@dataclass(frozen=True)
class SimulatedClock:
    """A clock in a file, which all processes that are given it share."""

    file: Path

    def now(self) -> dt.datetime:
        """Returns the time of the simulation, in UTC. Raises ConfigError for a file that holds none."""
        try:
            told = json.loads(self.file.read_text())
            moment = dt.datetime.fromisoformat(told["simulated"]).astimezone(dt.UTC)
            return moment + dt.timedelta(seconds=max(0.0, time.time() - float(told["set_at"])))
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise ConfigError(
                f"{VARIABLE}: {self.file} is not a simulated clock ({error}); unset the variable, which is for "
                "simulations only"
            ) from None

    def set(self, moment: dt.datetime) -> None:
        """Sets the clock, for the first time or forward: a clock that is past the moment is left as it is."""
        if self.file.exists() and self.now() >= moment:
            return
        partial = self.file.with_name(f".{self.file.name}.partial")
        partial.write_text(json.dumps({"simulated": moment.isoformat(), "set_at": time.time()}))
        partial.replace(self.file)


def simulated_clock(given: str, home: Path | None, hosts: Iterable[str]) -> SimulatedClock:
    """Returns the clock that the variable names.

    home: the work folder, None if it is not on this machine; hosts: where Kafka and Redis are.
    Raises ConfigError where simulated times could reach somebody who is served.
    """
    file = Path(given)
    if home is None or not file.resolve().is_relative_to(home.resolve()):
        raise ConfigError(
            f"{VARIABLE}: {file} is not in the work folder of a simulation (DISCOVERY_HOME, on this machine); unset "
            "the variable, which is for simulations only"
        )
    if far := sorted({host for host in hosts if not _is_loopback(host)}):
        raise ConfigError(
            f"{VARIABLE} is set, but {', '.join(far)} is not this machine: simulated times may not reach servers that "
            "others use; unset the variable"
        )
    clock = SimulatedClock(file)
    clock.now()
    return clock


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
