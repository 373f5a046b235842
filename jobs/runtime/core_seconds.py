"""Processor time of the processes of a stage."""

from typing import NamedTuple

import psutil


class _Seen(NamedTuple):
    kind: str
    before: float
    last: float


class CoreSeconds:
    """Adds up user and system time of processes that are looked at again and again, by kind.

    One that has ended counts as it was seen last: Spark lets its workers end unwaited for, so that nobody else knows.
    """

    def __init__(self) -> None:
        self._seen: dict[psutil.Process, _Seen] = {}
        self._began = False

    def begin(self) -> None:
        """Ends the first look: processes that are seen from now on are new, and all their time counts."""
        self._began = True

    def look(self, process: psutil.Process, kind: str) -> None:
        """Notes the time of a process. Raises psutil.Error where it has ended."""
        times = process.cpu_times()
        now = times.user + times.system
        known = self._seen.get(process)
        before = known.before if known is not None else 0.0 if self._began else now
        self._seen[process] = _Seen(kind, before, now)

    @property
    def spent(self) -> dict[str, float]:
        """The seconds of each kind, and their total."""
        spent = {"jvm": 0.0, "driver": 0.0, "workers": 0.0}
        for one in self._seen.values():
            spent[one.kind] += one.last - one.before
        return {kind: round(seconds, 2) for kind, seconds in [*spent.items(), ("total", sum(spent.values()))]}
