"""Twelve generated weeks of a product as Prometheus would have scraped them, for pictures of the dashboards.

In the ninth week a gate stops the run, and its repetition a day later goes through. In the last four an experiment is
open. In the last night Redis loses writes of two partitions, and look-ups are slow for some minutes.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import product as combinations

from jobs.export.metrics import ALL
from publish.metric import Metric

PRODUCT = "prod_discovery"
END = 1_795_003_200.0
"""The last moment: a Wednesday, 2026-11-18 at noon (UTC)."""
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_WEEK = 7 * _DAY
_WEEKS = 12
_FIRST = END - _WEEKS * _WEEK
_MONDAY = END - 2.5 * _DAY
"""Midnight of the last run's day."""
_STARTS = [_MONDAY - week * _WEEK + 3 * _HOUR + (21 * _HOUR if week == 3 else 0) for week in range(_WEEKS + 1)][::-1]
"""When each run that went through was created; the repeated one on the evening of its Monday."""
_STOPPED = _MONDAY - 3 * _WEEK + 3 * _HOUR
_COMPUTES, _PUSHES = 65 * _MINUTE, 25 * _MINUTE
_OPENED = _MONDAY - 4 * _WEEK + 6 * _HOUR
_FAULT = (END - 14.5 * _HOUR, END - 14.2 * _HOUR)
_STAGES: Mapping[str, float] = {"features": 900, "train": 1_300, "topn": 1_250, "publish": 600, "serve": 860}
_SHARES = (0.05, 0.1, 0.25, 0.5)
_QUIET = ("loader_faults", "loader_dead", "loader_records_fenced", "redis_dead", "export_errors")
Labels = Mapping[str, str]
_RANDOM = random.Random(7)
_NOISE = [_RANDOM.gauss(0, 1) for _ in range(997)]


def samples() -> Iterator[str]:
    """Yields the lines of a file in the OpenMetrics format."""
    for metric in ALL:
        yield f"# TYPE {metric.name.removesuffix('_total')} {metric.kind}\n"
        for labels in _label_sets(metric):
            yield from _series(metric, labels)
    yield "# EOF\n"


def _series(metric: Metric, labels: Labels) -> Iterator[str]:
    if metric.kind == "histogram":
        for bound in (*metric.buckets, math.inf):
            le = "+Inf" if bound == math.inf else str(bound)
            yield from _lines(f"{metric.name}_bucket", {**labels, "le": le}, _requests(labels, bound))
        yield from _lines(f"{metric.name}_count", labels, _requests(labels, math.inf))
        yield from _lines(f"{metric.name}_sum", labels, lambda time: 0.0022 * _requests(labels, math.inf)(time))
        return
    yield from _lines(metric.name, labels, lambda time: _value(metric.name.removeprefix("discovery_"), labels, time))
    for other, age in (("groups", 3.4 * _DAY), ("games", 9.6 * _DAY)):
        at = _value(metric.name.removeprefix("discovery_"), labels, END)
        if at is not None and metric.kind == "gauge":
            moved = at - age + 2 * _DAY if metric.name.endswith("timestamp_seconds") else at
            if other == "games" and metric.name.endswith(("last_failed", "drift_findings")):
                moved = 1.0
            if other == "games" and labels.get("gate") == "lists" and metric.name.endswith("passed"):
                moved = 0.0
            yield _line(metric.name, {**labels, "product": other}, END, moved)


def _lines(name: str, labels: Labels, value: Callable[[float], float | None]) -> Iterator[str]:
    """Yields the samples: every 2 h, of the last four weeks every 30 min, of the last day every 2 min."""
    times = [_FIRST + 2 * _HOUR * n for n in range(56 * 12)]
    times += [END - 28 * _DAY + 30 * _MINUTE * n for n in range(27 * 48 - 4)]
    times += [END - 26 * _HOUR + 2 * _MINUTE * n for n in range(26 * 30 + 1)]
    for time in times:
        found = value(time)
        if found is not None:
            yield _line(name, {**labels, "product": PRODUCT}, time, found)


def _line(name: str, labels: Labels, time: float, value: float) -> str:
    told = ",".join(f'{label}="{text}"' for label, text in sorted(labels.items()))
    return f"{name}{{{told}}} {value:.10g} {time:.0f}\n"


def _label_sets(metric: Metric) -> Iterator[Labels]:
    for values in combinations(*metric.labels.values()):
        labels = dict(zip(metric.labels, values, strict=True))
        if _exists(labels):
            yield labels


def _exists(labels: Labels) -> bool:
    """Returns whether this product has it: no control, judged metrics only, words of problems that happen."""
    route, outcome = labels.get("route"), labels.get("outcome")
    return (
        not ("gate" in labels and labels.get("arm") == "control")
        and labels.get("basis", "shown") in ("shown", "answered")
        and not ("segment" not in labels and labels.get("metric") in ("amount", "owned_amount"))
        and labels.get("word", "redis") in ("redis", "bad_user", "too_slow")
        and (route is None or (route == "batch") == (outcome == "ok") or outcome == "failed")
        and labels.get("what", "logged") in ("logged", "delivered", "queue_full")
    )


def _value(name: str, labels: Labels, time: float) -> float | None:
    """Returns what the exporter, a loader or a service would have told."""
    run = max(place for place, start in enumerate(_STARTS) if start + _COMPUTES + _PUSHES <= time)
    told = _SIMPLE.get(name)
    if told is not None:
        return told(time, run, labels)
    if name.startswith(_QUIET):
        return 2.0 if time < _FAULT[0] or "loader_faults" not in name else 9.0
    if name.startswith("experiment_"):
        return _experiment(name.removeprefix("experiment_"), labels, time)
    if name.startswith("run_outcome_"):
        return _outcome(name.removeprefix("run_outcome_"), labels, time)
    return 0.0


def _wave(time: float) -> float:
    """Returns the part of the usual traffic at a time of day."""
    return 1 + 0.55 * math.sin((time / _DAY - 0.42) * 2 * math.pi) + 0.02 * _noise(time / 120)


def _noise(key: float, salt: str = "") -> float:
    return _NOISE[(int(key) * 31 + sum(salt.encode())) % len(_NOISE)]


def _answered(time: float) -> float:
    """Returns how many requests there were since the beginning, the sum of the waves."""
    day = (time - _FIRST) / _DAY
    wave = (
        0.55
        / (2 * math.pi)
        * (math.cos((_FIRST / _DAY - 0.42) * 2 * math.pi) - math.cos((time / _DAY - 0.42) * 2 * math.pi))
    )
    return 310 * _DAY * (day + wave)


def _requests(labels: Labels, bound: float) -> Callable[[float], float]:
    """Returns the counter of requests that were faster than a bound."""
    parts = {"list": 0.78, "fallback": 0.08, "control": 0.1, "none": 0.002, "ok": 0.03, "refused": 0.004, "failed": 0.0}
    part = parts[labels["outcome"]]

    def count(time: float) -> float:
        usual = 1 - math.exp(-((bound / 0.0019) ** 1.35)) if bound < math.inf else 1.0
        slow = 1 - math.exp(-bound / 0.012) if bound < math.inf else 1.0
        before, within = _answered(min(time, _FAULT[0])), _answered(min(max(time, _FAULT[0]), _FAULT[1]))
        after = _answered(max(time, _FAULT[1])) - _answered(_FAULT[1])
        found = part * (before + after) * usual + part * (within - before if time > _FAULT[0] else 0.0) * slow
        if labels["outcome"] == "failed" and labels["route"] == "list":
            return 0.02 * (within - before if time > _FAULT[0] else 0.0) * slow
        return math.floor(found)

    return count


def _damaged(time: float) -> bool:
    return _FAULT[0] <= time < _FAULT[1]


def _stopped(time: float) -> bool:
    """Returns whether the newest run is the one that a gate stopped."""
    return _STOPPED + _STAGES["features"] <= time < _STARTS[-4] + _STAGES["features"]


def _push(time: float) -> float | None:
    """Returns how far a push is, from 0 to 1; None between pushes."""
    return next(
        (
            (time - start - _COMPUTES) / _PUSHES
            for start in _STARTS
            if start + _COMPUTES <= time < start + _COMPUTES + _PUSHES
        ),
        None,
    )


def _quality(arm: str, metric: str, run: int) -> float:
    level = {"ours": 0.182, "popularity": 0.121, "item_knn": 0.158, "champion": 0.176}[arm]
    scale = {"ndcg": 1.0, "recall": 1.6, "map": 0.55}[metric]
    return scale * (level + 0.0006 * run * (arm == "ours") + 0.0022 * _noise(run, arm))


def _drift(labels: Labels, run: int, time: float) -> float:
    if _stopped(time) and labels["gate"] == "input_drift":
        return 2.7
    return 0.55 + 0.16 * abs(_noise(run, labels["gate"]))


def _users(run: int) -> float:
    return 4_120_000 + 21_000 * run + 6_000 * _noise(run)


def _finished(run: int, stage: str) -> float:
    return _STARTS[run] + sum(
        seconds for name, seconds in _STAGES.items() if list(_STAGES).index(name) <= list(_STAGES).index(stage)
    )


def _created(time: float) -> float:
    return max(start for start in (*_STARTS, _STOPPED) if start <= time)


_SIMPLE: Mapping[str, Callable[[float, int, Labels], float | None]] = {
    "serving_treatment": lambda *_: 1.0,
    "serving_control": lambda *_: 0.0,
    "serving_since_timestamp_seconds": lambda _, run, __: _STARTS[run] + _COMPUTES + _PUSHES,
    "serving_changed_timestamp_seconds": lambda _, run, __: _STARTS[run] + _COMPUTES + _PUSHES,
    "serving_as_of_timestamp_seconds": lambda _, run, __: _STARTS[run] // _DAY * _DAY,
    "serving_share_ratio": lambda time, *_: _share(time),
    "serving_cap_ratio": lambda *_: 1.0,
    "serving_held_since_timestamp_seconds": lambda *_: None,
    "serving_users": lambda _, run, labels: _users(run) if labels["arm"] == "treatment" else None,
    "serving_damaged_partitions": lambda time, *_: 2.0 * _damaged(time),
    "run_states": lambda time, run, labels: {"READY": 2.0, "RETIRED": run + 9.0, "FAILED": 1.0 + (run > 8)}.get(
        labels["state"], float(labels["state"] == "LOADING" and _push(time) is not None)
    ),
    "run_pushes": lambda time, *_: float(_push(time) is not None),
    "run_push_announced_lists": lambda time, run, _: None if _push(time) is None else _users(run + 1),
    "run_push_loaded_lists": lambda time, run, _: None if (done := _push(time)) is None else done * _users(run + 1),
    "run_push_touched_timestamp_seconds": lambda time, *_: None if _push(time) is None else time - 2,
    "run_push_stall_seconds": lambda *_: 900.0,
    "run_last_failed_push_timestamp_seconds": lambda *_: _FIRST - 30 * _DAY,
    "run_period_seconds": lambda *_: _WEEK,
    "run_last_start_timestamp_seconds": lambda time, *_: _created(time),
    "run_last_success_timestamp_seconds": lambda _, run, __: _STARTS[run] + _COMPUTES + _PUSHES,
    "run_last_failed": lambda time, *_: float(_stopped(time)),
    "run_folders": lambda _, run, __: 11.0 + run // 2,
    "run_lists": lambda _, run, labels: _users(run) if labels["arm"] == "treatment" else None,
    "run_quality_ratio": lambda _, run, labels: _quality(labels["arm"], labels["metric"], run),
    "run_quality_low_ratio": lambda _, run, labels: _quality("ours", labels["metric"], run) - 0.0031,
    "run_quality_high_ratio": lambda _, run, labels: _quality("ours", labels["metric"], run) + 0.0031,
    "run_segment_quality_ratio": lambda _, run, labels: (
        _quality("ours", labels["metric"], run)
        * {"cold": 0.62, "light": 0.93, "heavy": 1.21, "new": 0.41}[labels["segment"]]
    ),
    "run_coverage_ratio": lambda _, run, labels: (
        {"ours": 0.71, "popularity": 0.004, "item_knn": 0.83, "champion": 0.69}[labels["arm"]]
        * (1 + 0.006 * _noise(run))
    ),
    "run_golden_ratio": lambda _, run, labels: {"ndcg": 0.2431, "recall": 0.3157}[labels["metric"]] + 0.004 * (run > 6),
    "run_judged_users": lambda _, run, __: 48_000 + 900 * _noise(run),
    "stage_seconds": lambda _, run, labels: (
        _STAGES[labels["stage"]] * (1 + 0.01 * run + 0.05 * _noise(run, labels["stage"]))
    ),
    "stage_peak_bytes": lambda _, run, labels: (
        {"jvm": 9.5e9, "driver": 3.1e9, "workers": 6.2e9}[labels["process"]]
        * {"features": 0.8, "train": 1.0, "topn": 0.95, "publish": 0.5, "serve": 0.2}[labels["stage"]]
        * (1 + 0.008 * run)
    ),
    "stage_finished_timestamp_seconds": lambda _, run, labels: _finished(run, labels["stage"]),
    "gate_passed": lambda time, _, labels: 0.0 if _stopped(time) and labels["gate"] == "input_drift" else 1.0,
    "gate_failed_expectations": lambda time, _, labels: 2.0 * (_stopped(time) and labels["gate"] == "input_drift"),
    "gate_checked_timestamp_seconds": lambda time, run, labels: (
        _STOPPED + 900
        if _stopped(time) and labels["gate"] == "input_drift"
        else _finished(run, "topn" if "list" in labels["gate"] else "features")
    ),
    "drift_findings": lambda time, run, labels: (
        2.0 * (_stopped(time) and labels["gate"] == "input_drift")
        if labels["severity"] == "block"
        else float(abs(_noise(run, labels["gate"])) > 1.1)
    ),
    "drift_judged": lambda _, run, labels: {"input_drift": 58.0, "list_drift": 21.0}[labels["gate"]] + run // 3,
    "drift_learning": lambda _, run, __: 6.0 - run // 3,
    "drift_largest_deviation_ratio": lambda time, run, labels: _drift(labels, run, time),
    "redis_up": lambda *_: 1.0,
    "redis_memory_used_bytes": lambda time, run, _: 7.4e9 + 3e7 * run + 2.6e9 * (_push(time) or 0),
    "redis_memory_max_bytes": lambda *_: 16e9,
    "redis_room_bytes": lambda time, run, _: 12.8e9 - 7.4e9 - 3e7 * run - 2.6e9 * (_push(time) or 0),
    "redis_largest_run_bytes": lambda _, run, __: 2.5e9 + 1e7 * run,
    "export_source_up": lambda *_: 1.0,
    "export_source_seconds": lambda time, _, labels: (
        {"redis": 0.03, "runs": 0.4, "outcomes": 0.2, "experiments": 0.1}[labels["source"]]
        * (1 + 0.08 * abs(_noise(time / 1800, labels["source"])))
    ),
    "loader_healthy": lambda time, *_: float(not _damaged(time)),
    "loader_partitions": lambda *_: 16.0,
    "loader_lag_records": lambda time, run, _: 0.0 if (done := _push(time)) is None else (1 - done) * 4e5,
    "loader_worst_lag_records": lambda time, run, _: 0.0 if (done := _push(time)) is None else (1 - done) * 3e4,
    "loader_records_loaded_total": lambda time, run, _: (
        run * 4.2e6 + (_push(time) or 0) * 4.2e6 + 5.2e5 * min(max((time - _FAULT[0]) / (_FAULT[1] - _FAULT[0]), 0), 1)
    ),
    "lookup_answers_total": lambda time, _, labels: (
        _answered(time) * {"list": 0.8, "fallback": 0.085, "control": 0.113, "none": 0.002}[labels["kind"]]
    ),
    "lookup_problems_total": lambda time, _, labels: {
        "bad_user": 0.004 * _answered(time),
        "redis": 0.02 * (_answered(min(max(time, _FAULT[0]), _FAULT[1])) - _answered(_FAULT[0])),
        "too_slow": 0.004 * (_answered(min(max(time, _FAULT[0]), _FAULT[1])) - _answered(_FAULT[0])),
    }[labels["word"]],
    "lookup_exposures_total": lambda time, _, labels: (
        _answered(time) if labels["what"] != "queue_full" else 41.0 * (time > _FAULT[0])
    ),
    "lookup_pointer_age_seconds": lambda time, *_: 1.1 + 0.3 * abs(_noise(time / 120)) + 2.4 * _damaged(time),
    "lookup_in_flight": lambda time, *_: max(0.0, 1.5 * _wave(time) + 9 * _damaged(time)),
}
"""Metric → its value at a time, with the number of the run that serves then."""


def _share(time: float) -> float:
    if time < _OPENED:
        return 1.0
    return _SHARES[min(int((time - _OPENED) // _WEEK), len(_SHARES) - 1)]


def _experiment(name: str, labels: Labels, time: float) -> float | None:
    if time < _OPENED:
        return 0.0 if name in ("open", "stop_unenforced") else None
    week = int((time - _OPENED) // _WEEK)
    metric = labels.get("metric", labels.get("guardrail", "new"))
    if metric not in ("new", "events") or (name == "guardrail_breached" and metric != "events"):
        return None
    effect = {"new": 0.031, "events": 0.006}[metric] + 0.006 * _noise(week, metric) / (week + 1)
    wide = 0.055 / math.sqrt(week + 0.6)
    weeks: Mapping[str, float | None] = {
        "lift_ratio": effect,
        "lift_low_ratio": effect - wide,
        "lift_high_ratio": effect + wide,
        "decision": float(labels.get("decision") == ("hold" if week == 2 else "raise")),
        "guardrail_breached": 0.0,
        "mismatch": 0.0,
        "decided_timestamp_seconds": _OPENED + week * _WEEK,
        "summed_timestamp_seconds": _OPENED // _DAY * _DAY + week * _WEEK,
    }
    if name in weeks:
        return weeks[name] if week else None
    return {
        "open": 1.0,
        "opened_timestamp_seconds": _OPENED,
        "week": float(week),
        "last_week": 8.0,
        "share_ratio": _share(time),
    }.get(name, 0.0)


def _outcome(name: str, labels: Labels, time: float) -> float | None:
    day = time // _DAY * _DAY + 5 * _HOUR - (_DAY if time % _DAY < 5 * _HOUR else 0)
    if not labels:
        late = {"landed": 0.0, "measured": 5 * _HOUR, "mature": 5 * _HOUR + 2 * _DAY}[name.partition("_")[0]]
        return day - late + (time - day if name.startswith("landed") else 0)
    if labels["arm"] == "shadow" or (labels["arm"] == "control" and time < _OPENED):
        return None
    rate = {"shown": 0.031, "answered": 0.0118}[labels["basis"]] * (1.045 if labels["arm"] == "treatment" else 1.0)
    rate *= 1 + 0.01 * _noise(day / _DAY, labels["arm"]) + 0.0008 * (time - _FIRST) / _DAY
    share = _share(time) if labels["arm"] == "treatment" else 1 - _share(time)
    answers = {"shown": 5.2e7, "answered": 1.8e8}[labels["basis"]] * share * (1 + 0.03 * _noise(day / _DAY))
    wide = 1.96 * math.sqrt(1.8 * rate / answers)
    found: Mapping[str, float] = {
        "hits_per_answer": rate,
        "hits_per_answer_low": rate - wide,
        "hits_per_answer_high": rate + wide,
        "hits": rate * answers,
        "answers": answers,
        "listed_new_ratio": 0.21 * rate / 0.031 if labels["basis"] == "shown" else 0.24,
    }
    return found[name]
