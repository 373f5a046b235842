"""All metrics of an installation: dashboards, rules and docs/metrics.md are checked against this table.

Times are timestamps, never ages, so that what has died still ages. A metric without a value has no series.
"""

from collections.abc import Mapping
from typing import Literal

from conf.contract import METRICS
from conf.judging import METRIC_NAMES
from jobs.storage.gate_reports import DRIFT_GATES, GATES
from jobs.storage.stage_names import STAGES
from publish.load.loader_metrics import LOADER_METRICS
from publish.metric import Metric
from publish.runs.run import RunState
from publish.serve.metrics import LOOKUP_METRICS

Source = Literal["redis", "runs", "outcomes", "experiments"]
"""A source of durable state; one that cannot be read takes its own series away only."""

ARMS = ("treatment", "control")
JUDGED_ARMS = ("ours", "popularity", "item_knn", "champion")
SEGMENTS = ("cold", "light", "heavy", "new")
GOLDEN_METRICS = ("ndcg", "recall")
_ARM = {"arm": ARMS}
_STAGE = {"stage": STAGES}
_GATE = {"gate": (*GATES, *DRIFT_GATES), "arm": ARMS}
_DRIFT = {"gate": DRIFT_GATES, "arm": ARMS}
_HITS = {"arm": (*ARMS, "shadow"), "basis": ("listed", "answered", "shown")}
_QUALITY = {"metric": tuple(METRICS), "arm": JUDGED_ARMS}
_OUR_QUALITY = {"metric": tuple(METRICS), "arm": ("ours",)}
_METRIC = {"metric": METRIC_NAMES}

SERVING = (
    Metric("discovery_serving_treatment", "1 if a run serves the treatment, else 0"),
    Metric("discovery_serving_control", "1 if a run serves the control, else 0: then it gets the caller's default"),
    Metric("discovery_serving_since_timestamp_seconds", "When the treatment's run began to serve"),
    Metric("discovery_serving_as_of_timestamp_seconds", "Midnight (UTC) of the day as of which the treatment's run is"),
    Metric("discovery_serving_changed_timestamp_seconds", "When the pointer was last changed"),
    Metric("discovery_serving_share_ratio", "Share of the users who are served the treatment, 0 to 1"),
    Metric("discovery_serving_cap_ratio", "The operator's limit on the share, 0 to 1"),
    Metric("discovery_serving_held", "1 while an operator's hold keeps runs from being promoted, else 0"),
    Metric("discovery_serving_held_since_timestamp_seconds", "Since when the hold is; no series without one"),
    Metric("discovery_serving_users", "Users with a list of their own in the run that serves the arm", _ARM),
    Metric("discovery_serving_damaged_partitions", "Partitions of the serving runs of which Redis lost writes"),
    Metric("discovery_serving_restoring", "1 while a rebuild runs and nothing serves, else 0"),
    Metric("discovery_serving_unsent_changes", "Changes of the pointer that Kafka may not have yet"),
)
PUSHES = (
    Metric("discovery_run_states", "Runs in the registry by state", {"state": tuple(RunState)}),
    Metric("discovery_run_unreadable", "Runs in the registry that this version cannot read"),
    Metric("discovery_run_waiting", "Runs that are ready and newer than the one that serves: held, or postponed"),
    Metric("discovery_run_pushes", "Runs on their way into Redis (ANNOUNCED or LOADING)"),
    Metric("discovery_run_push_announced_lists", "Lists of the runs on their way; no series without one"),
    Metric("discovery_run_push_loaded_lists", "Lists of them that Redis has; no series without one"),
    Metric(
        "discovery_run_push_touched_timestamp_seconds",
        "When a loader last did something for a run on its way, or it was announced; no series without one",
    ),
    Metric(
        "discovery_run_push_stall_seconds", "Seconds without progress after which a push fails (publish.stall_seconds)"
    ),
    Metric("discovery_run_last_failed_push_timestamp_seconds", "When a push last failed; no series if none is known"),
)
REDIS = (
    Metric("discovery_redis_up", "1 if Redis answers, else 0"),
    Metric("discovery_redis_memory_used_bytes", "Memory in use, over all masters"),
    Metric(
        "discovery_redis_memory_max_bytes", "Limit of the memory (maxmemory), over all masters; 0: a master has none"
    ),
    Metric("discovery_redis_unsafe", "1 if Redis may drop lists: no maxmemory, or a policy that evicts; else 0"),
    Metric("discovery_redis_room_bytes", "Bytes of lists that still fit; below 0: too full"),
    Metric("discovery_redis_largest_run_bytes", "Estimated memory of the largest run whose lists Redis has"),
    Metric("discovery_redis_dead_letters_total", "Records that were dead-lettered, as Redis counts", kind="counter"),
)
RUNS = (
    Metric("discovery_run_period_seconds", "Longest time between two runs by the YAML's `schedule`; none without one"),
    Metric("discovery_run_last_start_timestamp_seconds", "When the newest run was created"),
    Metric(
        "discovery_run_last_success_timestamp_seconds", "When a run last finished its last stage, so that it serves"
    ),
    Metric("discovery_run_last_failed", "1 if the newest run's last attempt was stopped by an error, else 0"),
    Metric("discovery_run_folders", "Folders of runs that are kept"),
    Metric("discovery_run_damaged_folders", "Folders of runs whose manifest cannot be read or was changed"),
    Metric(
        "discovery_run_lists",
        "Lists of the newest run that got so far, by what became of them",
        {"kind": ("computed", "produced", "loaded", "readable"), "arm": ARMS},
    ),
    Metric("discovery_run_quality_ratio", "How good the lists are on the hold-out, by judged arm (0 to 1)", _QUALITY),
    Metric("discovery_run_quality_low_ratio", "Lower end of the 95 % interval of the quality of ours", _OUR_QUALITY),
    Metric("discovery_run_quality_high_ratio", "Upper end of the 95 % interval of the quality of ours", _OUR_QUALITY),
    Metric(
        "discovery_run_segment_quality_ratio",
        "How good our lists are on the hold-out for a segment of users",
        {"metric": tuple(METRICS), "segment": SEGMENTS},
    ),
    Metric("discovery_run_coverage_ratio", "Part of the eligible sources that any list holds", {"arm": JUDGED_ARMS}),
    Metric("discovery_run_golden_ratio", "Quality on the frozen data set", {"metric": GOLDEN_METRICS}),
    Metric("discovery_run_judged_users", "Users by whom the quality was judged"),
    Metric("discovery_stage_seconds", "Time of the stage when it last finished; controls are not counted", _STAGE),
    Metric(
        "discovery_stage_peak_bytes",
        "Peak resident memory while the stage last ran",
        {**_STAGE, "process": ("jvm", "driver", "workers")},
    ),
    Metric("discovery_stage_finished_timestamp_seconds", "When the stage last finished", _STAGE),
    Metric("discovery_gate_passed", "1 if the gate's newest report passed, else 0", _GATE),
    Metric("discovery_gate_failed_expectations", "Expectations that failed in the newest report", _GATE),
    Metric("discovery_gate_overrides", "Expectations that failed in it and were overridden", _GATE),
    Metric("discovery_gate_checked_timestamp_seconds", "When the newest report was written", _GATE),
    Metric(
        "discovery_drift_findings",
        "Statistics that drifted in the newest report: `block` stops a run, `warn` does not",
        {**_DRIFT, "severity": ("block", "warn")},
    ),
    Metric("discovery_drift_judged", "Statistics that were judged in it", _DRIFT),
    Metric("discovery_drift_learning", "Statistics in it with too little history to be judged", _DRIFT),
    Metric(
        "discovery_drift_largest_deviation_ratio",
        "Distance from what was expected ÷ what is allowed, of the worst statistic; above 1 it drifted",
        _DRIFT,
    ),
    Metric("discovery_drift_exclusions", "Days of data sets that an operator has runs leave out"),
)
OUTCOMES = (
    Metric("discovery_run_outcome_landed_timestamp_seconds", "Until when answers have been landed from Kafka"),
    Metric("discovery_run_outcome_measured_timestamp_seconds", "End of the last day whose outcomes are measured"),
    Metric("discovery_run_outcome_mature_timestamp_seconds", "End of the last such day that no late event can change"),
    Metric(
        "discovery_run_outcome_hits_per_answer",
        "Hits per answer (list, impression: by basis) over the last seven mature days",
        _HITS,
    ),
    Metric("discovery_run_outcome_hits_per_answer_low", "Lower end of its 95 % interval", _HITS),
    Metric("discovery_run_outcome_hits_per_answer_high", "Upper end of its 95 % interval", _HITS),
    Metric("discovery_run_outcome_hits", "Hits on these seven days", _HITS),
    Metric("discovery_run_outcome_answers", "Answers (lists, impressions: by basis) on these seven days", _HITS),
    Metric("discovery_run_outcome_listed_new_ratio", "Part of new engagements that had been listed", _HITS),
)
EXPERIMENTS = (
    Metric("discovery_experiment_open", "1 while an experiment is open, else 0"),
    Metric("discovery_experiment_opened_timestamp_seconds", "When the newest experiment was opened"),
    Metric("discovery_experiment_week", "Weeks of it that are summed up"),
    Metric("discovery_experiment_last_week", "Week with which it ends at the latest"),
    Metric("discovery_experiment_summed_timestamp_seconds", "End of the last day that its sums cover"),
    Metric("discovery_experiment_share_ratio", "Share of the users to be treated by its newest decision, 0 to 1"),
    Metric(
        "discovery_experiment_decision",
        "1 for the ramp's newest decision, 0 for the others; no series before the first one",
        {"decision": ("raise", "hold", "stop")},
    ),
    Metric("discovery_experiment_decided_timestamp_seconds", "When the ramp last decided"),
    Metric("discovery_experiment_stop_unenforced", "1 if it decided to stop and nothing has been done yet, else 0"),
    Metric(
        "discovery_experiment_lift_ratio", "Relative effect on a metric; metrics with a colon have no series", _METRIC
    ),
    Metric(
        "discovery_experiment_lift_low_ratio", "Lower end of its interval, which holds at all weekly looks", _METRIC
    ),
    Metric("discovery_experiment_lift_high_ratio", "Upper end of its interval", _METRIC),
    Metric("discovery_experiment_mismatch", "1 if the sizes of the arms are not those of the share, else 0"),
    Metric(
        "discovery_experiment_guardrail_breached",
        "1 if the guardrail's metric got worse by more than its margin, else 0",
        {"guardrail": METRIC_NAMES},
    ),
)
SOURCES: Mapping[Source, tuple[Metric, ...]] = {
    "redis": (*SERVING, *PUSHES, *REDIS),
    "runs": RUNS,
    "outcomes": OUTCOMES,
    "experiments": EXPERIMENTS,
}
"""Source → what is derived from it."""
_SOURCE = {"source": tuple(SOURCES)}
ABOUT_ITSELF = (
    Metric("discovery_export_source_up", "1 if the source could be read, else 0: then its metrics are absent", _SOURCE),
    Metric(
        "discovery_export_source_seconds",
        "Time that reading the source took; no series where it took too long",
        _SOURCE,
    ),
    Metric("discovery_export_errors_total", "Times that the source could not be read", _SOURCE, "counter"),
)
EXPORTER_METRICS = (*ABOUT_ITSELF, *(metric for metrics in SOURCES.values() for metric in metrics))
"""All metrics of `discovery export`."""
PROGRAMS: Mapping[str, tuple[Metric, ...]] = {
    "discovery export": EXPORTER_METRICS,
    "discovery load": LOADER_METRICS,
    "discovery serve": LOOKUP_METRICS,
}
"""Command → its metrics; the reader library has none, since its caller asks it (docs/reader.md)."""
ALL = tuple(metric for metrics in PROGRAMS.values() for metric in metrics)
"""Every metric."""
