"""For each alert: when it fires, when it stays quiet, and what happens where its series are missing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from deploy.monitoring.promtool import STEP, History, Labels, Moment
from tests.deploy.monitoring.healthy import (
    DAY,
    GB,
    HEALTHY,
    LAST,
    WEEK,
    Value,
    changed,
    counting,
    name_of,
    then,
    world,
)

Kind = Literal["fires", "stays quiet", "series missing"]
KINDS: tuple[Kind, ...] = ("fires", "stays quiet", "series missing")
PRODUCT, OTHER = "groups", "music"
_IT: Labels = {"product": PRODUCT}


class Said(NamedTuple):
    """What is said of an alert apart from its expression; stated here once more, so that no change goes unseen."""

    severity: Literal["critical", "warning"]
    waits: int
    """Seconds that the expression must hold."""


ALERTS: Mapping[str, Said] = {
    "DiscoveryExporterAway": Said("critical", 120),
    "DiscoverySourceUnreadable": Said("warning", 120),
    "DiscoveryRedisAway": Said("critical", 60),
    "DiscoveryNothingServes": Said("critical", 120),
    "DiscoveryPartitionsLost": Said("critical", 120),
    "DiscoveryServingTooOld": Said("critical", 120),
    "DiscoveryHeld": Said("warning", 120),
    "DiscoveryStopped": Said("warning", 120),
    "DiscoveryRecordUnreadable": Said("warning", 60),
    "DiscoveryHistoryUnsent": Said("warning", 180),
    "DiscoveryRedisUnsafe": Said("critical", 60),
    "DiscoveryRedisMemory": Said("warning", 120),
    "DiscoveryRunOverdue": Said("critical", 120),
    "DiscoveryRunFailed": Said("warning", 60),
    "DiscoveryGateFailed": Said("warning", 60),
    "DiscoveryDrift": Said("warning", 60),
    "DiscoveryPushStalled": Said("warning", 60),
    "DiscoveryPushFailed": Said("warning", 60),
    "DiscoveryDeadLetters": Said("warning", 0),
    "DiscoveryLoaderAway": Said("warning", 180),
    "DiscoveryLoaderUnwell": Said("warning", 120),
    "DiscoveryOutcomesLate": Said("warning", 120),
    "DiscoveryLookupAway": Said("critical", 120),
    "DiscoveryLookupErrors": Said("critical", 60),
    "DiscoveryLookupSlow": Said("warning", 120),
    "DiscoveryExposuresDropped": Said("warning", 120),
    "DiscoveryRatioMismatch": Said("warning", 60),
    "DiscoveryGuardrailBreached": Said("warning", 60),
    "DiscoveryStopNotEnforced": Said("critical", 180),
}


@dataclass(frozen=True)
class Case:
    """A history of two products, and whether an alert fires for the first."""

    alert: str
    kind: Kind
    changes: Mapping[str, Value]
    """Series of the product that are not as in HEALTHY."""
    fires: Sequence[Labels] = ()
    since: int = 0
    """The second since when its expression holds."""
    is_over: bool = False
    """Whether it does not hold any more at the end."""
    also: Mapping[str, Sequence[Labels]] = field(default_factory=dict)
    """Other alerts that fire at the end."""
    other: Mapping[str, Value] = field(default_factory=dict)
    """Series of the other product that are not as in HEALTHY."""

    @property
    def title(self) -> str:
        """Its name, of which there is no second one."""
        return f"{self.alert} {self.kind}: {dict(self.changes)}, other product {dict(self.other)}"[:400]

    def history(self, *, alone: bool = False) -> History:
        """Returns the series, what the alert does over time, and which of all alerts fire at the end; or it alone."""
        series = world({PRODUCT: changed(self.changes), OTHER: changed(self.other)})
        others: Mapping[str, Sequence[Labels]] = {} if alone else {**dict.fromkeys(ALERTS, ()), **self.also}
        end = {**others, self.alert: () if self.is_over else self.fires}
        told = {alert: [_labelled(alert, labels) for labels in fires] for alert, fires in end.items()}
        return History(self.title, series, [*self._moments(), Moment(LAST, told)])

    def _moments(self) -> Iterator[Moment]:
        fires = [_labelled(self.alert, labels) for labels in self.fires]
        if not fires:
            yield from (Moment(at, {self.alert: ()}) for at in range(0, LAST, 60))
            return
        first = self.since + ALERTS[self.alert].waits
        if first:
            yield Moment(first - STEP, {self.alert: ()})
        yield Moment(first, {self.alert: fires})


def _labelled(alert: str, labels: Labels) -> Labels:
    return {"severity": ALERTS[alert].severity, **labels}


def _fires(alert: str, changes: Mapping[str, Value], **more: Any) -> Case:
    return Case(alert, "fires", changes, **{"fires": [_IT], **more})


def _quiet(alert: str, changes: Mapping[str, Value], **more: Any) -> Case:
    return Case(alert, "stays quiet", changes, **more)


def _missing(alert: str, *names: str, **more: Any) -> Case:
    return Case(alert, "series missing", dict.fromkeys(names), **more)


FIVE = 300
"""The second at which something happens in the middle of a history."""
_NEXT = FIVE + STEP


def _for_a_minute(before: Value, meanwhile: Value) -> str:
    """Returns what comes and goes again."""
    return then((0, before), (FIVE, meanwhile), (FIVE + 60, before))


def _aged(seconds: float) -> float:
    """Returns a timestamp that is so old in the middle of a history."""
    return FIVE - seconds


_ITS = {"product": PRODUCT}
_FROM_EXPORTER = sorted({name for name in map(name_of, HEALTHY) if "_loader_" not in name and "_lookup_" not in name})
_GONE: Mapping[str, Value] = dict.fromkeys(_FROM_EXPORTER)
_NO_UP: Mapping[str, Value] = {"discovery_export_source_up": None}
_UP = {name: f'discovery_export_source_up{{source="{name}"}}' for name in ("redis", "runs", "outcomes", "experiments")}
_UPS_END = dict.fromkeys(_UP.values(), then((0, 1), (FIVE, None)))
_OF_REDIS = [name for name in _FROM_EXPORTER if "_serving_" in name or "_redis_" in name or "_push" in name]
AWAY: Mapping[str, Value] = {**dict.fromkeys(_OF_REDIS), "discovery_redis_up": 0, _UP["redis"]: 0}
"""What the exporter tells while Redis is away."""
_REDIS_AWAY = {"DiscoveryRedisAway": [_IT]}
_OTHER_AWAY = {"DiscoveryRedisAway": [{"product": OTHER}]}
_BLIND = {"DiscoveryExporterAway": [_IT]}
_SUCCESS, _AS_OF = "discovery_run_last_success_timestamp_seconds", "discovery_serving_as_of_timestamp_seconds"
_SINCE, _CHANGED = "discovery_serving_since_timestamp_seconds", "discovery_serving_changed_timestamp_seconds"
_PERIOD = "discovery_run_period_seconds"
_ROOM, _LARGEST = "discovery_redis_room_bytes", "discovery_redis_largest_run_bytes"
_GATE = 'discovery_gate_passed{gate="lists",arm="treatment"}'
_DRIFT_GATE = 'discovery_gate_passed{gate="list_drift",arm="treatment"}'
_BLOCK = 'discovery_drift_findings{gate="list_drift",arm="treatment",severity="block"}'
_BLOCK_ELSEWHERE = 'discovery_drift_findings{gate="input_drift",arm="treatment",severity="block"}'
_BLOCK_OF_CONTROL = 'discovery_drift_findings{gate="list_drift",arm="control",severity="block"}'
_OF_GATE = {**_IT, "gate": "lists", "arm": "treatment"}
_OF_DRIFT = {**_IT, "gate": "list_drift", "arm": "treatment"}
_OF_FINDING = _OF_DRIFT  # the label `severity` of the finding is overwritten by that of the alert
_TOUCHED, _STALL = "discovery_run_push_touched_timestamp_seconds", "discovery_run_push_stall_seconds"
_FAILED_PUSH = "discovery_run_last_failed_push_timestamp_seconds"
_NOTHING = {"discovery_serving_treatment": 0, **dict.fromkeys((_SINCE, _AS_OF, _FAILED_PUSH))}
_DEAD = "discovery_redis_dead_letters_total"
_A, _B = 'discovery_loader_healthy{instance="a"}', 'discovery_loader_healthy{instance="b"}'
_MEASURED = "discovery_run_outcome_measured_timestamp_seconds"
_FLIGHT_A, _FLIGHT_B = 'discovery_lookup_in_flight{instance="a"}', 'discovery_lookup_in_flight{instance="b"}'
_FAILED = 'discovery_lookup_seconds_count{route="list",outcome="failed",instance="a"}'
_LIST = 'discovery_lookup_seconds_count{route="list",outcome="list",instance="a"}'
_LE = 'discovery_lookup_seconds_bucket{route="list",outcome="list",instance="a",le="%s"}'
_DROPPED = 'discovery_lookup_exposures_total{what="queue_full"}'
_HARM = 'discovery_experiment_guardrail_breached{guardrail="events"}'
_OPEN = "discovery_experiment_open"
_SHARE = "discovery_serving_share_ratio"


def _of_list(to_20: float, to_50: float, to_250: float) -> Mapping[str, Value]:
    """Returns look-ups that take at most 20, 50, 250 ms, from sample to sample."""
    return {
        _LE % "0.02": counting(to_20),
        _LE % "0.05": counting(to_50),
        _LE % "0.25": counting(to_250),
        _LE % "+Inf": counting(to_250),
        _LIST: counting(to_250),
    }


SERVING = (
    _fires("DiscoveryExporterAway", _UPS_END, since=FIVE),
    _fires("DiscoveryExporterAway", _NO_UP, fires=[{}], other=_NO_UP),
    _quiet("DiscoveryExporterAway", dict.fromkeys(_UP.values(), _for_a_minute(1, None))),
    _quiet("DiscoveryExporterAway", dict.fromkeys(list(_UP.values())[1:])),
    _quiet("DiscoveryExporterAway", _NO_UP),  # a product that there never was
    _missing("DiscoveryExporterAway", *_FROM_EXPORTER, fires=[{}], other=_GONE),
    _fires("DiscoverySourceUnreadable", {_UP["runs"]: 0}, fires=[{**_IT, "source": "runs"}]),
    _fires(
        "DiscoverySourceUnreadable", {_UP["runs"]: 0}, fires=[{**_IT, "source": "runs"}], other=AWAY, also=_OTHER_AWAY
    ),
    _quiet("DiscoverySourceUnreadable", AWAY, also=_REDIS_AWAY),
    _quiet("DiscoverySourceUnreadable", {_UP["runs"]: _for_a_minute(1, 0)}),
    _missing("DiscoverySourceUnreadable", "discovery_export_source_up"),
    _fires("DiscoveryRedisAway", AWAY),
    _quiet("DiscoveryRedisAway", {"discovery_redis_up": then((0, 1), (FIVE, 0), (FIVE + STEP, 1))}),
    _fires(
        "DiscoveryRedisAway",
        {"discovery_redis_up": then((0, 1), (60, 0), (90, 1), (120, 0), (150, 1))},
        since=120,
        is_over=True,
    ),
    Case(
        "DiscoveryRedisAway",
        "series missing",
        {"discovery_redis_up": then((0, 1), (FIVE, None)), **_UPS_END},
        also=_BLIND,
    ),
    _fires("DiscoveryNothingServes", _NOTHING),
    _quiet("DiscoveryNothingServes", {**_NOTHING, _SUCCESS: None, _FAILED_PUSH: None}),  # before the first run
    _quiet("DiscoveryNothingServes", {"discovery_serving_treatment": _for_a_minute(1, 0)}),
    _missing("DiscoveryNothingServes", "discovery_serving_treatment"),
    _fires("DiscoveryPartitionsLost", {"discovery_serving_damaged_partitions": 1}),
    _quiet("DiscoveryPartitionsLost", {"discovery_serving_damaged_partitions": _for_a_minute(0, 12)}),
    _missing("DiscoveryPartitionsLost", "discovery_serving_damaged_partitions"),
    _fires("DiscoveryServingTooOld", {_AS_OF: _aged(2.5 * WEEK)}, since=_NEXT),
    _fires("DiscoveryServingTooOld", {_AS_OF: -3 * DAY, _PERIOD: DAY, _SUCCESS: -DAY}),
    _quiet("DiscoveryServingTooOld", {_AS_OF: -16 * DAY}),
    _quiet("DiscoveryServingTooOld", {_AS_OF: -20 * DAY, _SUCCESS: -2.3 * WEEK}, also={"DiscoveryRunOverdue": [_IT]}),
    _fires(
        "DiscoveryServingTooOld",
        {_AS_OF: -20 * DAY, _SUCCESS: -2.2 * WEEK},
        other={_SUCCESS: -20 * DAY},
        also={"DiscoveryRunOverdue": [{"product": OTHER}]},
    ),
    _missing("DiscoveryServingTooOld", _AS_OF),
    Case("DiscoveryServingTooOld", "series missing", {_AS_OF: -20 * DAY, _PERIOD: None}),  # no schedule, no period
    _fires("DiscoveryServingTooOld", {_AS_OF: -20 * DAY, _SUCCESS: None}, fires=[_IT]),
    _fires("DiscoveryHeld", {"discovery_serving_held": 1}),
    _quiet("DiscoveryHeld", {"discovery_serving_held": _for_a_minute(0, 1)}),
    _missing("DiscoveryHeld", "discovery_serving_held"),
    _fires("DiscoveryStopped", {"discovery_serving_cap_ratio": 0, _SHARE: 0}),
    _quiet("DiscoveryStopped", {"discovery_serving_cap_ratio": _for_a_minute(1, 0)}),
    _quiet("DiscoveryStopped", {"discovery_serving_cap_ratio": 0.0001}),
    _missing("DiscoveryStopped", "discovery_serving_cap_ratio"),
    _fires("DiscoveryRecordUnreadable", {"discovery_run_unreadable": 1}),
    _quiet("DiscoveryRecordUnreadable", {"discovery_run_unreadable": then((0, 0), (FIVE, 1), (FIVE + STEP, 0))}),
    _missing("DiscoveryRecordUnreadable", "discovery_run_unreadable"),
    _fires("DiscoveryHistoryUnsent", {"discovery_serving_unsent_changes": 1}),
    _quiet("DiscoveryHistoryUnsent", {"discovery_serving_unsent_changes": _for_a_minute(0, 2)}),
    _missing("DiscoveryHistoryUnsent", "discovery_serving_unsent_changes"),
    _fires("DiscoveryRedisUnsafe", {"discovery_redis_unsafe": 1}),
    _quiet("DiscoveryRedisUnsafe", {"discovery_redis_unsafe": then((0, 0), (FIVE, 1), (FIVE + STEP, 0))}),
    _missing("DiscoveryRedisUnsafe", "discovery_redis_unsafe"),
    _fires("DiscoveryRedisMemory", {_ROOM: 2.49 * GB}),
    _fires(
        "DiscoveryRedisMemory",
        {_ROOM: -1, _LARGEST: 1, "discovery_run_pushes": 1, _TOUCHED: then((0, 0), (60, 60), (300, 300), (600, 600))},
    ),
    _fires("DiscoveryRedisMemory", {_ROOM: 2 * GB, _CHANGED: _aged(7200)}, since=FIVE),
    _fires("DiscoveryRedisMemory", {_ROOM: 2 * GB}, other={"discovery_run_pushes": 1, _CHANGED: 0}),
    _quiet("DiscoveryRedisMemory", {_ROOM: 2.5 * GB}),
    _quiet("DiscoveryRedisMemory", {_ROOM: 0, "discovery_run_pushes": 1}),
    _quiet("DiscoveryRedisMemory", {_ROOM: 0, _CHANGED: -3600}),
    _quiet("DiscoveryRedisMemory", {_ROOM: _for_a_minute(4 * GB, -1)}),
    _missing("DiscoveryRedisMemory", _ROOM),
    _missing("DiscoveryRedisMemory", _LARGEST),
    Case("DiscoveryRedisMemory", "series missing", {_ROOM: -1, _LARGEST: None, _CHANGED: None}, fires=[_IT]),
)
RUNS = (
    _fires("DiscoveryRunOverdue", {_SUCCESS: _aged(2.25 * WEEK)}, since=_NEXT),
    _fires("DiscoveryRunOverdue", {_SUCCESS: -3 * DAY, _PERIOD: DAY, _AS_OF: -DAY}),
    _quiet("DiscoveryRunOverdue", {_SUCCESS: -15 * DAY}),
    _missing("DiscoveryRunOverdue", _SUCCESS),
    Case("DiscoveryRunOverdue", "series missing", {_SUCCESS: -60 * DAY, _PERIOD: None}),  # no schedule, no period
    _fires("DiscoveryRunFailed", {"discovery_run_last_failed": 1}),
    _fires(
        "DiscoveryRunFailed",
        {"discovery_run_last_failed": 1},
        other={_GATE: 0},
        also={"DiscoveryGateFailed": [{**_OF_GATE, "product": OTHER}]},
    ),
    _quiet("DiscoveryRunFailed", {"discovery_run_last_failed": 1, _GATE: 0}, also={"DiscoveryGateFailed": [_OF_GATE]}),
    _quiet("DiscoveryRunFailed", {"discovery_run_last_failed": then((0, 0), (FIVE, 1), (FIVE + STEP, 0))}),
    _missing("DiscoveryRunFailed", "discovery_run_last_failed"),
    Case(
        "DiscoveryRunFailed",
        "series missing",
        {"discovery_run_last_failed": 1, "discovery_gate_passed": None},
        fires=[_IT],
    ),
    _fires("DiscoveryGateFailed", {_GATE: 0}, fires=[_OF_GATE]),
    _fires("DiscoveryGateFailed", {_DRIFT_GATE: 0}, fires=[_OF_DRIFT]),  # it could not measure
    _fires("DiscoveryGateFailed", {_DRIFT_GATE: 0, _BLOCK_ELSEWHERE: 1}, fires=[_OF_DRIFT]),
    _fires("DiscoveryGateFailed", {_DRIFT_GATE: 0, _BLOCK_OF_CONTROL: 1}, fires=[_OF_DRIFT]),
    _fires("DiscoveryGateFailed", {_DRIFT_GATE: 0}, fires=[_OF_DRIFT], other={_BLOCK: 1}),
    _quiet("DiscoveryGateFailed", {_DRIFT_GATE: 0, _BLOCK: 1}, also={"DiscoveryDrift": [_OF_FINDING]}),
    _quiet("DiscoveryGateFailed", {_GATE: then((0, 1), (FIVE, 0), (FIVE + STEP, 1))}),
    _missing("DiscoveryGateFailed", "discovery_gate_passed"),
    Case(
        "DiscoveryGateFailed", "series missing", {_DRIFT_GATE: 0, "discovery_drift_findings": None}, fires=[_OF_DRIFT]
    ),
    _fires("DiscoveryDrift", {_BLOCK: 1, _DRIFT_GATE: 0}, fires=[_OF_FINDING]),
    _quiet("DiscoveryDrift", {_BLOCK: 1}),  # decided, and let through
    _quiet("DiscoveryDrift", {_BLOCK_ELSEWHERE: 1, _DRIFT_GATE: 0}, also={"DiscoveryGateFailed": [_OF_DRIFT]}),
    _quiet("DiscoveryDrift", {_BLOCK_OF_CONTROL: 1, _DRIFT_GATE: 0}, also={"DiscoveryGateFailed": [_OF_DRIFT]}),
    _quiet(
        "DiscoveryDrift",
        {_BLOCK: 1},
        other={_DRIFT_GATE: 0},
        also={"DiscoveryGateFailed": [{**_OF_DRIFT, "product": OTHER}]},
    ),
    _quiet(
        "DiscoveryDrift",
        {_BLOCK: then((0, 0), (FIVE, 1), (FIVE + STEP, 0)), _DRIFT_GATE: then((0, 1), (FIVE, 0), (FIVE + STEP, 1))},
    ),
    _missing("DiscoveryDrift", "discovery_drift_findings"),
    _missing("DiscoveryDrift", "discovery_gate_passed"),
    _fires("DiscoveryPushStalled", {_TOUCHED: FIVE - 180, "discovery_run_pushes": 1}, since=_NEXT),
    _fires("DiscoveryPushStalled", {_TOUCHED: FIVE - 185, "discovery_run_pushes": 1}, since=FIVE),
    _fires("DiscoveryPushStalled", {_TOUCHED: FIVE - 20, _STALL: 100, "discovery_run_pushes": 1}, since=_NEXT),
    _quiet(
        "DiscoveryPushStalled",
        {_TOUCHED: then(*((at, at - 170) for at in range(0, LAST + 60, 60))), "discovery_run_pushes": 1},
    ),
    _missing("DiscoveryPushStalled", _TOUCHED),
    Case("DiscoveryPushStalled", "series missing", {_TOUCHED: -900, _STALL: None}),
    _fires("DiscoveryPushFailed", {_FAILED_PUSH: -DAY}),
    _fires("DiscoveryPushFailed", {_FAILED_PUSH: -3 * DAY, _SINCE: None}),  # the first one; nothing serves yet
    _fires(
        "DiscoveryPushFailed", {_FAILED_PUSH: -3 * DAY, _SINCE: None, "discovery_serving_treatment": 0, _SUCCESS: None}
    ),
    _quiet("DiscoveryPushFailed", {_FAILED_PUSH: -2 * DAY - 60}),
    _quiet("DiscoveryPushFailed", {_FAILED_PUSH: -2 * DAY}),
    _quiet(
        "DiscoveryPushFailed",
        {_FAILED_PUSH: then((0, -20 * DAY), (FIVE, FIVE)), _SINCE: then((0, -2 * DAY), (FIVE + STEP, FIVE + STEP))},
    ),
    _missing("DiscoveryPushFailed", _FAILED_PUSH),
    Case("DiscoveryPushFailed", "series missing", {_SINCE: None}, fires=[_IT]),
    _fires("DiscoveryDeadLetters", {_DEAD: then((0, 3), (FIVE, 4))}, since=FIVE),
    _quiet("DiscoveryDeadLetters", {_DEAD: 400}),
    _quiet("DiscoveryDeadLetters", {_DEAD: then((0, 400), (FIVE, None), (FIVE + 120, 400))}),
    _missing("DiscoveryDeadLetters", _DEAD),
    _fires("DiscoveryLoaderAway", {_A: then((0, 1), (FIVE, None)), _B: None}, since=FIVE),
    _quiet("DiscoveryLoaderAway", {_A: None}),
    _quiet("DiscoveryLoaderAway", {_A: _for_a_minute(1, None), _B: None}),
    _missing("DiscoveryLoaderAway", "discovery_loader_healthy", fires=[_IT]),
    _missing("DiscoveryLoaderAway", "discovery_redis_up"),
    _fires("DiscoveryLoaderUnwell", {_B: 0}),
    _fires("DiscoveryLoaderUnwell", {_A: 0}, other=AWAY, also=_OTHER_AWAY),
    _quiet("DiscoveryLoaderUnwell", {_A: 0, **AWAY}, also=_REDIS_AWAY),
    _quiet("DiscoveryLoaderUnwell", {_A: _for_a_minute(1, 0)}),
    _missing("DiscoveryLoaderUnwell", "discovery_loader_healthy", also={"DiscoveryLoaderAway": [_IT]}),
    _fires("DiscoveryOutcomesLate", {_MEASURED: _aged(3 * DAY)}, since=_NEXT),
    _quiet("DiscoveryOutcomesLate", {_MEASURED: -2 * DAY - 80_000}),
    _missing("DiscoveryOutcomesLate", _MEASURED),  # nothing is measured there
)
LOOKUP = (
    _fires("DiscoveryLookupAway", {_FLIGHT_A: then((0, 0), (FIVE, None)), _FLIGHT_B: None}, since=FIVE),
    _quiet("DiscoveryLookupAway", {_FLIGHT_A: then((0, 1), (FIVE, None))}),
    _quiet("DiscoveryLookupAway", {_FLIGHT_A: _for_a_minute(1, None), _FLIGHT_B: None}),
    _missing("DiscoveryLookupAway", "discovery_lookup_in_flight"),  # none ever ran
    _fires("DiscoveryLookupErrors", {_FAILED: counting(6.2)}, since=STEP),
    _fires("DiscoveryLookupErrors", {_FAILED: counting(6.2)}, since=STEP, other=AWAY, also=_OTHER_AWAY),
    _fires(
        "DiscoveryLookupErrors",
        {_FAILED: counting(60)},
        since=STEP,
        other=_NOTHING,
        also={"DiscoveryNothingServes": [{"product": OTHER}]},
    ),
    _fires("DiscoveryLookupErrors", {_FAILED.replace('"a"', '"b"'): counting(60)}, since=STEP),
    _fires("DiscoveryLookupErrors", {_FAILED: then((0, 7), (FIVE, 107))}, since=FIVE, is_over=True),
    _quiet("DiscoveryLookupErrors", {_FAILED: counting(5.8)}),
    _quiet("DiscoveryLookupErrors", {_FAILED: counting(300), **AWAY}, also=_REDIS_AWAY),
    _quiet("DiscoveryLookupErrors", {_FAILED: counting(300), **_NOTHING}, also={"DiscoveryNothingServes": [_IT]}),
    _quiet("DiscoveryLookupErrors", {_FAILED: 70_000}),
    _quiet(
        "DiscoveryLookupErrors",
        {
            _FAILED: then((0, 7), (FIVE, 307), (FIVE + STEP, 607)),
            "discovery_redis_up": _for_a_minute(1, 0),
        },
    ),
    _fires("DiscoveryLookupErrors", {_FAILED: counting(60), "discovery_redis_up": then((0, 0), (STEP, 1))}, since=330),
    _fires(
        "DiscoveryLookupErrors",
        {_FAILED: counting(60), "discovery_serving_treatment": then((0, 0), (STEP, 1))},
        since=330,
    ),
    _missing("DiscoveryLookupErrors", "discovery_lookup_seconds_count"),
    _fires("DiscoveryLookupSlow", _of_list(280, 296.95, 300), since=2 * STEP),  # a p99 of 53 ms
    _quiet("DiscoveryLookupSlow", _of_list(280, 297, 300)),  # of 50 ms
    _fires("DiscoveryLookupSlow", _of_list(0, 0, 31), since=FIVE),
    _quiet("DiscoveryLookupSlow", _of_list(0, 0, 29)),
    _fires(
        "DiscoveryLookupSlow",
        {_LE % "0.02": counting(300, pause=FIVE), _LE % "0.05": counting(300, pause=FIVE)},
        since=_NEXT,
        is_over=True,
    ),
    _quiet(
        "DiscoveryLookupSlow",
        {
            **_of_list(0, 0, 300),
            **{(_LE % le).replace('"a"', '"b"'): counting(60_000) for le in ("0.02", "0.05", "0.25", "+Inf")},
        },
    ),
    _missing("DiscoveryLookupSlow", "discovery_lookup_seconds_bucket"),
    _missing("DiscoveryLookupSlow", "discovery_lookup_seconds_count"),
    _fires("DiscoveryExposuresDropped", {_DROPPED: counting(1)}, since=STEP),
    _fires("DiscoveryExposuresDropped", {_DROPPED: then((0, 5), (FIVE, 6))}, since=FIVE, is_over=True),
    _quiet("DiscoveryExposuresDropped", {_DROPPED: 900}),
    _missing("DiscoveryExposuresDropped", "discovery_lookup_exposures_total"),
)
EXPERIMENT = (
    _fires("DiscoveryRatioMismatch", {"discovery_experiment_mismatch": 1}),
    _quiet("DiscoveryRatioMismatch", {"discovery_experiment_mismatch": 1, _OPEN: 0}),
    _quiet("DiscoveryRatioMismatch", {"discovery_experiment_mismatch": then((0, 0), (FIVE, 1), (FIVE + STEP, 0))}),
    _missing("DiscoveryRatioMismatch", "discovery_experiment_mismatch"),
    _missing("DiscoveryRatioMismatch", _OPEN),
    _fires("DiscoveryGuardrailBreached", {_HARM: 1}, fires=[{**_IT, "guardrail": "events"}]),
    _quiet("DiscoveryGuardrailBreached", {_HARM: 1, _OPEN: 0}),
    _quiet("DiscoveryGuardrailBreached", {_HARM: then((0, 0), (FIVE, 1), (FIVE + STEP, 0))}),
    _missing("DiscoveryGuardrailBreached", "discovery_experiment_guardrail_breached"),
    _fires("DiscoveryStopNotEnforced", {"discovery_experiment_stop_unenforced": 1}),
    _quiet("DiscoveryStopNotEnforced", {"discovery_experiment_stop_unenforced": 1, _SHARE: 0}),
    _quiet("DiscoveryStopNotEnforced", {"discovery_experiment_stop_unenforced": _for_a_minute(0, 1)}),
    _missing("DiscoveryStopNotEnforced", "discovery_experiment_stop_unenforced"),
    _missing("DiscoveryStopNotEnforced", _SHARE),
)
CASES = (*SERVING, *RUNS, *LOOKUP, *EXPERIMENT)

LONG_STEP = 7200
_GONE_AFTER_20_HOURS = "1+0x9 stale _x14"


def _day(alert: str, series: Mapping[str, str], first: int) -> History:
    """Returns a history of two days in which an alert holds from hour 20 to hour 44, and fires from `first` on."""
    fires = {alert: [_labelled(alert, _IT)]}
    moments = ((first - 2, {alert: ()}), (first, fires), (42, fires), (44, {alert: ()}))
    products = {PRODUCT: series, OTHER: {_UP["redis"]: "1+0x24"}}
    return History(f"{alert} two days", world(products), [Moment(at * 3600, told) for at, told in moments])


LONG: Mapping[str, History] = {
    "DiscoveryExporterAway": _day("DiscoveryExporterAway", {_UP["redis"]: _GONE_AFTER_20_HOURS}, 22),
    "DiscoveryLookupAway": _day("DiscoveryLookupAway", {_FLIGHT_A: _GONE_AFTER_20_HOURS}, 22),
    "DiscoveryDeadLetters": _day("DiscoveryDeadLetters", {_DEAD: "3+0x9 4+0x14"}, 20),
}
"""Alerts that look back for a day, with LONG_STEP seconds from sample to sample."""
