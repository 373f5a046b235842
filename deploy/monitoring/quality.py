"""The dashboard of gates, drift, and how good the lists are."""

from deploy.monitoring.panels import Dashboard, Panel, Query, Row, States, Tile
from deploy.monitoring.queries import days_since, of, or_zero
from deploy.monitoring.words import ANY, DAYS, PASSED, SOME

_NDCG = of("discovery_run_quality_ratio", metric="ndcg", arm="ours")
_POPULARITY = of("discovery_run_quality_ratio", metric="ndcg", arm="popularity")
_ALARMS = of("discovery_drift_findings", "gate", "arm", severity="block")
_WARNINGS = of("discovery_drift_findings", "gate", "arm", severity="warn")

_NOW = (
    Tile(
        "Gates that failed",
        "Of the newest reports. What serves stays until a run passes.",
        (Query(f"sum (1 - {of('discovery_gate_passed', 'gate', 'arm')})"),),
        steps=ANY,
        alert="DiscoveryGateFailed",
    ),
    Tile(
        "Expectations overridden",
        "Failed, and let pass once by `--override`; the run's manifest has the reasons.",
        (Query(f"sum ({of('discovery_gate_overrides', 'gate', 'arm')})"),),
        steps=SOME,
    ),
    Tile(
        "Statistics that drifted",
        "In the newest reports, of those that stop a run; `discovery drift show` and the run's drift.html have each.",
        (Query(f"sum ({_ALARMS})"),),
        steps=ANY,
        alert="DiscoveryDrift",
    ),
    Tile(
        "Warnings of drift",
        "Statistics that drifted and stop nothing.",
        (Query(f"sum ({_WARNINGS})"),),
        steps=SOME,
        alert="DiscoveryDrift",
    ),
    Tile(
        "NDCG",
        "Of our lists on the hold-out, in the newest run that was judged.",
        (Query(_NDCG),),
        calm="text",
        decimals=4,
    ),
    Tile(
        "NDCG ÷ popularity's",
        "Below 1 the same popular sources for everybody would have been better.",
        (Query(f"{_NDCG} / {_POPULARITY}"),),
        calm="red",
        steps=((1, "orange"), (1.1, "green")),
        decimals=2,
        alert="DiscoveryGateFailed",
    ),
    Tile(
        "Sources that are listed",
        "Part of the eligible sources that any list holds.",
        (Query(of("discovery_run_coverage_ratio", arm="ours")),),
        "percentunit",
        calm="text",
        decimals=1,
    ),
    Tile(
        "Largest deviation",
        "Of the worst statistic: distance from what was expected ÷ what is allowed. Above 1 it drifted; "
        "0 where none has enough past to be judged.",
        (Query(or_zero(of("discovery_drift_largest_deviation_ratio"))),),
        steps=ANY,
        decimals=2,
        alert="DiscoveryDrift",
    ),
)

_GATES = (
    States(
        "Gates",
        "The newest report of each. A gate that failed stops the run before it publishes.",
        (Query(of("discovery_gate_passed", "gate", how="min"), "{{gate}}"),),
        words=PASSED,
        width=12,
        height=8,
        alert="DiscoveryGateFailed",
    ),
    Panel(
        "Expectations that failed",
        "In the newest report of each gate.",
        (Query(of("discovery_gate_failed_expectations", "gate"), "{{gate}}"),),
        width=6,
        height=8,
        alert="DiscoveryGateFailed",
    ),
    Panel(
        "Age of the reports",
        "Days since each gate last reported; one that is older than the others was not reached.",
        (Query(days_since("discovery_gate_checked_timestamp_seconds", "gate"), "{{gate}}"),),
        DAYS,
        width=6,
        height=8,
    ),
)

_DRIFT = (
    Panel(
        "Largest deviation",
        "Of the worst statistic: distance from what was expected ÷ what is allowed. Above 1 it drifted; "
        "0 where none has enough past to be judged.",
        (Query(or_zero(of("discovery_drift_largest_deviation_ratio", "gate")), "{{gate}}"),),
        steps=ANY,
        limits=True,
        alert="DiscoveryDrift",
    ),
    Panel(
        "Statistics that drifted",
        "`block` stops a run, `warn` does not.",
        (Query(of("discovery_drift_findings", "gate", "severity"), "{{gate}}, {{severity}}"),),
        alert="DiscoveryDrift",
    ),
    Panel(
        "Statistics that are judged",
        "And those that still learn: less than eight weeks of past.",
        (
            Query(of("discovery_drift_judged", "gate"), "{{gate}}"),
            Query(of("discovery_drift_learning", "gate"), "{{gate}}, learning", dashed=True),
        ),
    ),
)

_QUALITY = (
    Panel(
        "NDCG of ours",
        "On the hold-out, with the ends of its 95 % interval. A step within it is no news.",
        (
            Query(_NDCG, "ours"),
            Query(of("discovery_run_quality_low_ratio", metric="ndcg"), "low", dashed=True),
            Query(of("discovery_run_quality_high_ratio", metric="ndcg"), "high", dashed=True),
        ),
        low=None,
    ),
    Panel(
        "NDCG beside others",
        "The same hold-out for popularity, item-kNN and the champion's recipe.",
        (Query(of("discovery_run_quality_ratio", "arm", metric="ndcg"), "{{arm}}"),),
    ),
    Panel(
        "NDCG by segment of users",
        "Cold users have no interaction in the windows, heavy ones many; `new`: on sources that are new.",
        (Query(of("discovery_run_segment_quality_ratio", "segment", metric="ndcg"), "{{segment}}"),),
    ),
    Panel(
        "Recall",
        "Part of what users newly engaged with that was listed.",
        (Query(of("discovery_run_quality_ratio", "arm", metric="recall"), "{{arm}}"),),
    ),
    Panel(
        "Sources that are listed",
        "Part of the eligible sources that any list holds, of each judged arm.",
        (Query(of("discovery_run_coverage_ratio", "arm"), "{{arm}}"),),
        "percentunit",
    ),
    Panel(
        "On the frozen data",
        "The golden data never change: a step here is code or settings, not users.",
        (Query(of("discovery_run_golden_ratio", "metric"), "{{metric}}"),),
    ),
    Panel(
        "Judged users",
        "By whom the quality was judged: fewer make its interval wider.",
        (Query(of("discovery_run_judged_users"), "users"),),
        width=24,
        height=5,
    ),
)

QUALITY = Dashboard(
    "quality",
    "Quality and drift",
    "Whether the data and the lists are as they should be: gates, drift, quality on the hold-out.",
    (Row("Now", _NOW), Row("Gates", _GATES), Row("Drift", _DRIFT), Row("Quality on the hold-out", _QUALITY)),
    since="now-12w",
    refresh="15m",
)
