"""Fifty-two healthy weeks of two products, as Prometheus scrapes them: nothing is wrong, and no week is like another.

Runs begin late and take longer or shorter, three of them a day to five late; Redis, loaders, exporter and look-up
services are restarted; in two holiday weeks there are less traffic and fewer users; statistics drift within what is
allowed, and twice beyond it, and somebody accepts that; an experiment is opened, ramped up and closed.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from random import Random

from tests.deploy.monitoring.healthy import DAY, GATES, GB, WEEK, with_product

WEEKS = 52
HOUR, MINUTE = 3600, 60
HOLIDAYS = (28, 51)
LATE = {9: 2 * DAY, 23: 5 * DAY, 40: 30 * HOUR}
"""Week → by how much its run is late."""
ACCEPTED = (14, 37)
"""Weeks in which a statistic is beyond its limit, and the run is let through."""
OPENED, CLOSED = 6, 20
SHARES = {OPENED: 0.01, 8: 0.05, 10: 0.25, 14: 0.5, CLOSED: 1.0}
LARGEST = 2.0 * GB
ROOM = 7.4 * GB
"""What three runs may take, and what else there is."""
_A, _B = 'instance="a"', 'instance="b"'
_SECONDS = 'discovery_lookup_seconds_%s{route="list",outcome="%s",instance="a"%s}'
EXPORTED = ("redis", "runs", "outcomes", "experiments")


@dataclass
class Steps:
    """A series that keeps a value until it gets the next one; None: it is not there."""

    at: list[float]
    values: list[float | None]

    def set(self, second: float, value: float | None) -> None:
        """Gives it a value from a second on, later than all before, if it is another one."""
        if self.values[-1] != value:
            assert second > self.at[-1], (second, self.at[-1])
            self.at.append(second)
            self.values.append(value)

    def value(self, second: float) -> float | None:
        """Returns the value at a second."""
        return self.values[bisect_right(self.at, second) - 1]


@dataclass
class Week:
    """When in a week what happened, in seconds since the first of all."""

    served: float
    """When its run began to serve."""
    maintained: float
    """When something was restarted, a few minutes before or after that."""


@dataclass
class Year:
    """A product's series."""

    random: Random
    series: dict[str, Steps] = field(default_factory=dict)
    weeks: list[Week] = field(default_factory=list)
    gaps: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Beginnings of names → when they are missing."""
    failing: list[tuple[float, float]] = field(default_factory=list)
    """When look-ups failed, since Redis was away."""

    def sampled(self, product: str, begun: float, step: int, count: int) -> dict[str, str]:
        """Returns its series from a second on, which is 0 there, in promtool's notation."""
        times = [begun + step * number for number in range(count)]
        found = {}
        for name, steps in self.series.items():
            shift = begun if "_timestamp_" in name else 0.0
            values = [None if self._is_missing(name, at) else steps.value(at) for at in times]
            if any(value is not None for value in values):
                found[with_product(name, product)] = _notation([v if v is None else v - shift for v in values])
        for name, counted in self._look_ups(times).items():
            found[with_product(name, product)] = " ".join(f"{value:.0f}" for value in counted)
        return found

    def _is_missing(self, name: str, at: float) -> bool:
        return any(
            name.startswith(prefix) and low <= at < high for prefix, gaps in self.gaps.items() for low, high in gaps
        )

    def _look_ups(self, times: list[float]) -> Mapping[str, list[float]]:
        """Returns what a look-up service counts: more by day than by night, and two slow ones in three hundred."""
        lists, failed = [0.0], [0.0]
        for before, at in pairwise(times):
            rate = self._traffic(at)
            away = sum(max(0.0, min(at, high) - max(before, low)) for low, high in self.failing)
            lists.append(lists[-1] + rate * (at - before - away))
            failed.append(failed[-1] + rate * away + 0.0004 * rate * (at - before))
        return {
            _SECONDS % ("count", "list", ""): lists,
            _SECONDS % ("count", "failed", ""): failed,
            _SECONDS % ("bucket", "list", ',le="0.02"'): [0.97 * value for value in lists],
            _SECONDS % ("bucket", "list", ',le="0.05"'): [0.994 * value for value in lists],
            _SECONDS % ("bucket", "list", ',le="0.25"'): lists,
            _SECONDS % ("bucket", "list", ',le="+Inf"'): lists,
            'discovery_lookup_exposures_total{what="logged"}': lists,
            'discovery_lookup_exposures_total{what="queue_full"}': [0.0] * len(lists),
        }

    def _traffic(self, at: float) -> float:
        """Returns requests a second."""
        by_day = 2.0 if int(at % DAY) < 6 * HOUR else 30.0
        return by_day * (0.3 if int(at // WEEK) in HOLIDAYS else 1.0)

    # How it comes about

    def begin(self) -> None:
        """Gives each series its value before the first week."""
        before = -6.5 * DAY
        known: dict[str, float | None] = {
            **{f'discovery_export_source_up{{source="{name}"}}': 1 for name in EXPORTED},
            **{f"discovery_redis_{name}": value for name, value in (("up", 1), ("unsafe", 0))},
            "discovery_redis_room_bytes": ROOM - 2 * LARGEST,
            "discovery_redis_largest_run_bytes": LARGEST,
            "discovery_redis_dead_letters_total": 3,
            "discovery_serving_treatment": 1,
            **{f"discovery_serving_{name}_timestamp_seconds": before for name in ("since", "changed", "as_of")},
            "discovery_serving_share_ratio": 1,
            "discovery_serving_cap_ratio": 1,
            **{f"discovery_serving_{name}": 0 for name in ("held", "damaged_partitions", "unsent_changes")},
            **{f"discovery_run_{name}": 0 for name in ("unreadable", "pushes", "last_failed")},
            "discovery_run_push_stall_seconds": 900,
            "discovery_run_push_touched_timestamp_seconds": None,
            "discovery_run_last_failed_push_timestamp_seconds": -30 * DAY,
            "discovery_run_period_seconds": WEEK,
            "discovery_run_last_success_timestamp_seconds": before,
            **{f'discovery_gate_passed{{gate="{gate}",arm="treatment"}}': 1 for gate in GATES},
            **{_finding(gate, severity): 0 for gate in GATES[3:] for severity in ("block", "warn")},
            "discovery_run_outcome_measured_timestamp_seconds": -DAY,
            **{f"discovery_experiment_{name}": 0 for name in ("open", "mismatch", "stop_unenforced")},
            'discovery_experiment_guardrail_breached{guardrail="events"}': 0,
            **{f"discovery_loader_healthy{{{instance}}}": 1 for instance in (_A, _B)},
            **{f"discovery_lookup_in_flight{{{instance}}}": 2 for instance in (_A, _B)},
        }
        self.series = {name: Steps([2 * before], [value]) for name, value in known.items()}

    def go_on(self, week: int) -> None:
        """Lets a week go by."""
        begun, random = week * WEEK, self.random
        started = begun + 3 * HOUR + random.uniform(0, 20 * MINUTE) + LATE.get(week, 0)
        pushed = started + random.lognormvariate(0, 0.35) * 50 * MINUTE
        served = pushed + random.uniform(3, 9) * MINUTE
        self._run(week, started, pushed, served)
        self._experiment(week, served)
        self.weeks.append(Week(served, served + random.uniform(-4, 4) * MINUTE))
        self._maintain(week, self.weeks[-1].maintained)

    def _run(self, week: int, started: float, pushed: float, served: float) -> None:
        random, series = self.random, self.series
        size = LARGEST * (1 + 0.002 * week) * (0.85 if week in HOLIDAYS else 1) * random.uniform(0.97, 1.03)
        before = series["discovery_redis_room_bytes"].values[-1]
        assert before is not None
        self._findings(week, started)
        self._push(pushed, served)
        for part in (0.25, 0.5, 0.75, 1.0):
            series["discovery_redis_room_bytes"].set(pushed + part * (served - pushed), before - part * size)
        series["discovery_redis_largest_run_bytes"].set(pushed + 1, max(size, LARGEST))
        for name in ("since", "changed"):
            series[f"discovery_serving_{name}_timestamp_seconds"].set(served, served)
        series["discovery_serving_as_of_timestamp_seconds"].set(served, started // DAY * DAY)
        series["discovery_run_last_success_timestamp_seconds"].set(
            ended := served + random.uniform(20, 90), float(round(ended))
        )
        series["discovery_serving_unsent_changes"].set(served, 1)
        series["discovery_serving_unsent_changes"].set(served + random.uniform(2, 50), 0)
        cleared = served + HOUR + random.uniform(1, 20) * MINUTE
        series["discovery_redis_room_bytes"].set(cleared, ROOM - 2 * size)

    def _findings(self, week: int, started: float) -> None:
        for gate, minutes in (("input_drift", 4), ("list_drift", 25)):
            judged = started + minutes * MINUTE
            self.series[_finding(gate, "warn")].set(judged, self.random.randrange(6))
            self.series[_finding(gate, "block")].set(judged, float(week in ACCEPTED))

    def _push(self, pushed: float, served: float) -> None:
        """Announces a run, waits for its first record, and loads it with pauses."""
        touched = self.series["discovery_run_push_touched_timestamp_seconds"]
        self.series["discovery_run_pushes"].set(pushed, 1)
        at = pushed
        while at < served:
            touched.set(at, at)
            at += self.random.uniform(2, 150)
        touched.set(served, None)
        self.series["discovery_run_pushes"].set(served, 0)

    def _experiment(self, week: int, served: float) -> None:
        if week in SHARES:
            self.series["discovery_experiment_open"].set(served + MINUTE, float(week < CLOSED))
            self.series["discovery_serving_share_ratio"].set(served, SHARES[week])

    def _maintain(self, week: int, at: float) -> None:
        """Restarts something: Redis, a loader, both loaders, the exporter, a look-up service; or nothing."""
        seconds = self.random.uniform(15, 55)
        match week % 6:
            case 0:
                self._restart_redis(at, seconds)
            case 1:
                self._gap(f"discovery_loader_healthy{{{_A}", at, 3 * seconds)
            case 2:
                self._gap("discovery_loader_", at, 2 * seconds)
            case 3:
                for prefix in {f"discovery_{name.split('_')[1]}_" for name in self.series} - _OWN:
                    self._gap(prefix, at, 1.5 * seconds)
            case 4:
                self._gap(f"discovery_lookup_in_flight{{{_B}", at, 3 * seconds)

    def _gap(self, prefix: str, at: float, seconds: float) -> None:
        self.gaps.setdefault(prefix, []).append((at, at + seconds))

    def _restart_redis(self, at: float, seconds: float) -> None:
        self.failing.append((at, at + seconds))
        for prefix in ("discovery_serving_", "discovery_redis_room", "discovery_redis_largest", "discovery_redis_dead"):
            self._gap(prefix, at, seconds)
        for prefix in ("discovery_redis_unsafe", "discovery_run_push", "discovery_run_unreadable"):
            self._gap(prefix, at, seconds)
        self._gap("discovery_run_last_failed_push", at, seconds)
        for name in ("discovery_redis_up", 'discovery_export_source_up{source="redis"}'):
            self.series[name].set(at, 0)
            self.series[name].set(at + seconds, 1)
        for instance in (_A, _B):
            name = f"discovery_loader_healthy{{{instance}}}"
            self.series[name].set(at, 0)
            self.series[name].set(at + seconds + self.random.uniform(1, 40), 1)

    def measure(self) -> None:
        """Measures every day what users did, but for a day in forty, which is made up for on the next."""
        measured = self.series["discovery_run_outcome_measured_timestamp_seconds"]
        for day in range(WEEKS * 7):
            if day % 40 != 17:
                measured.set(day * DAY + 5 * HOUR + self.random.uniform(0, 2 * HOUR), day * DAY)


_OWN = {"discovery_loader_", "discovery_lookup_"}
"""What is not the exporter's."""


def _finding(gate: str, severity: str) -> str:
    return f'discovery_drift_findings{{gate="{gate}",arm="treatment",severity="{severity}"}}'


def year(seed: int) -> Year:
    """Returns a product's year."""
    made = Year(Random(seed))
    made.begin()
    for week in range(WEEKS):
        made.go_on(week)
    made.measure()
    return made


def _notation(values: list[float | None]) -> str:
    """Returns samples in promtool's notation; a series that ends is stale, as after a scrape without it."""
    pieces: list[str] = []
    for value, same in groupby(values):
        count = len(list(same))
        if value is not None:
            pieces.append(f"{value:.1f}+0x{count - 1}" if value % 1 else f"{value:.0f}+0x{count - 1}")
        elif pieces:
            pieces += ["stale", *([f"_x{count - 1}"] if count > 1 else [])]
        else:
            pieces.append(f"_x{count}")
    return " ".join(pieces)
