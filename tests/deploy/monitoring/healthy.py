"""A healthy product as Prometheus sees it, and changes of it."""

from collections.abc import Mapping

from deploy.monitoring.promtool import STEP

DAY = 86_400
WEEK = 7 * DAY
MINUTES = 13
"""How long a history is."""
STEPS = MINUTES * 60 // STEP
LAST = (MINUTES - 1) * 60
"""When a history is looked at for the last time, in seconds."""
GB = 1_000_000_000

Value = float | str | None
"""A value that stays, samples in promtool's notation, or none."""


def counting(by: float, *, pause: int | None = None) -> str:
    """Returns a counter that rises by so much from sample to sample, but not to the sample after second `pause`."""
    if pause is None:
        return f"0+{by}x{STEPS}"
    until = pause // STEP
    return f"0+{by}x{until} {by * until}+{by}x{STEPS - until - 1}"


GATES = ("inputs", "interactions", "lists", "input_drift", "list_drift")
HEALTHY: Mapping[str, Value] = {
    **{f'discovery_export_source_up{{source="{name}"}}': 1 for name in ("redis", "runs", "outcomes", "experiments")},
    "discovery_redis_up": 1,
    "discovery_redis_unsafe": 0,
    "discovery_redis_room_bytes": 4 * GB,
    "discovery_redis_largest_run_bytes": 2 * GB,
    "discovery_redis_dead_letters_total": 3,
    "discovery_serving_treatment": 1,
    "discovery_serving_since_timestamp_seconds": -2 * DAY,
    "discovery_serving_changed_timestamp_seconds": -2 * DAY,
    "discovery_serving_as_of_timestamp_seconds": -2 * DAY - 7200,
    "discovery_serving_share_ratio": 0.25,
    "discovery_serving_cap_ratio": 1,
    "discovery_serving_held": 0,
    "discovery_serving_damaged_partitions": 0,
    "discovery_serving_unsent_changes": 0,
    "discovery_run_unreadable": 0,
    "discovery_run_pushes": 0,
    "discovery_run_push_stall_seconds": 900,
    "discovery_run_last_failed_push_timestamp_seconds": -20 * DAY,
    "discovery_run_period_seconds": WEEK,
    "discovery_run_last_success_timestamp_seconds": -2 * DAY,
    "discovery_run_last_failed": 0,
    **{f'discovery_gate_passed{{gate="{gate}",arm="treatment"}}': 1 for gate in GATES},
    **{
        f'discovery_drift_findings{{gate="{gate}",arm="treatment",severity="{severity}"}}': found
        for gate in GATES[3:]
        for severity, found in (("block", 0), ("warn", 2))
    },
    "discovery_run_outcome_measured_timestamp_seconds": -DAY,
    "discovery_experiment_open": 1,
    "discovery_experiment_mismatch": 0,
    'discovery_experiment_guardrail_breached{guardrail="events"}': 0,
    "discovery_experiment_stop_unenforced": 0,
    'discovery_loader_healthy{instance="a"}': 1,
    'discovery_loader_healthy{instance="b"}': 1,
    'discovery_lookup_in_flight{instance="a"}': 3,
    'discovery_lookup_in_flight{instance="b"}': 4,
    'discovery_lookup_seconds_count{route="list",outcome="list",instance="a"}': counting(300),
    'discovery_lookup_seconds_count{route="list",outcome="failed",instance="a"}': 7,
    'discovery_lookup_seconds_count{route="batch",outcome="ok",instance="a"}': counting(300),
    'discovery_lookup_seconds_bucket{route="list",outcome="list",instance="a",le="0.02"}': counting(299),
    'discovery_lookup_seconds_bucket{route="list",outcome="list",instance="a",le="0.05"}': counting(299),
    'discovery_lookup_seconds_bucket{route="list",outcome="list",instance="a",le="0.25"}': counting(300),
    'discovery_lookup_seconds_bucket{route="list",outcome="list",instance="a",le="+Inf"}': counting(300),
    'discovery_lookup_seconds_bucket{route="batch",outcome="ok",instance="a",le="0.02"}': 0,
    'discovery_lookup_seconds_bucket{route="batch",outcome="ok",instance="a",le="0.25"}': counting(300),
    'discovery_lookup_seconds_bucket{route="batch",outcome="ok",instance="a",le="+Inf"}': counting(300),
    'discovery_lookup_exposures_total{what="logged"}': counting(300),
    'discovery_lookup_exposures_total{what="delivered"}': counting(300),
    'discovery_lookup_exposures_total{what="queue_full"}': 5,
    'discovery_lookup_exposures_total{what="not_acknowledged"}': 0,
}
"""Series of a product, without its label `product` → value, at a moment two days after a run began to serve."""


def with_product(series: str, product: str) -> str:
    """Returns a series with the label `product`."""
    name, _, labels = series.partition("{")
    return f'{name}{{product="{product}"' + ("," + labels if labels else "}")


def name_of(series: str) -> str:
    """Returns the metric's name."""
    return series.partition("{")[0]


def samples(value: float | str) -> str:
    """Returns promtool's notation of a value that stays; a text is one already."""
    return value if isinstance(value, str) else f"{value}+0x{STEPS}"


def then(*phases: tuple[int, Value], steps: int = STEPS) -> str:
    """Returns promtool's notation of values, each from a second on; None: the series ends."""
    ends = [start // STEP for start, _ in phases[1:]] + [steps + 1]
    pieces = []
    for (start, value), end in zip(phases, ends, strict=True):
        length = end - start // STEP
        pieces.append(f"stale _x{length - 1}" if value is None else f"{value}+0x{length - 1}")
    return " ".join(pieces)


def changed(changes: Mapping[str, Value]) -> dict[str, str]:
    """Returns a healthy product's series with changes; a name with None: nothing of that metric."""
    series = dict(HEALTHY)
    for name, value in changes.items():
        if value is None:
            series = {key: old for key, old in series.items() if name not in (key, name_of(key))}
        else:
            series[name] = value
    return {key: samples(value) for key, value in series.items() if value is not None}


def world(products: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Returns the series of several products."""
    return {
        with_product(name, product): values for product, series in products.items() for name, values in series.items()
    }
