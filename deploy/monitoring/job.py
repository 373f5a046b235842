"""The dashboard of the weekly run and its push."""

from deploy.monitoring.panels import Column, Dashboard, Panel, Query, Row, States, Tile
from deploy.monitoring.queries import days_since, grown, of, or_zero
from deploy.monitoring.words import ANY, BAD, DAYS, PERIODS, SOME, UP

_BEHIND = f"(time() - {of('discovery_run_last_success_timestamp_seconds')}) / {of('discovery_run_period_seconds')}"
_STILL = f"time() - {of('discovery_run_push_touched_timestamp_seconds')}"

_NOW = (
    Tile(
        "Last run failed",
        "Whether an error stopped the newest run; its folder's report says where, `discovery runs` what became of it.",
        (Query(of("discovery_run_last_failed")),),
        words=BAD,
        alert="DiscoveryRunFailed",
    ),
    Tile(
        "Last start",
        "Since the newest run was created, by a scheduler or by hand.",
        (Query(days_since("discovery_run_last_start_timestamp_seconds")),),
        DAYS,
        calm="text",
        decimals=1,
    ),
    Tile(
        "Last success",
        "Since a run went through all stages, so that it serves.",
        (Query(days_since("discovery_run_last_success_timestamp_seconds")),),
        DAYS,
        calm="text",
        decimals=1,
        alert="DiscoveryRunOverdue",
    ),
    Tile(
        "Periods since a run succeeded",
        "In periods of the product's schedule: above 1.25 a run is late, above 2.25 two are missing.",
        (Query(_BEHIND),),
        steps=PERIODS,
        decimals=2,
        alert="DiscoveryRunOverdue",
    ),
    Tile(
        "Gates that failed",
        "Of the newest reports; the dashboard Quality says which.",
        (Query(f"sum (1 - {of('discovery_gate_passed', 'gate', 'arm')})"),),
        steps=ANY,
        alert="DiscoveryGateFailed",
    ),
    Tile(
        "Runs on their way",
        "Announced or being loaded into Redis.",
        (Query(of("discovery_run_pushes")),),
        calm="text",
    ),
    Tile(
        "Runs that wait",
        "Complete in Redis and newer than what serves: held by an operator, or postponed (`discovery status` says).",
        (Query(of("discovery_run_waiting")),),
        steps=SOME,
        alert="DiscoveryHeld",
    ),
    Tile(
        "Dead letters of an hour",
        "Records that could not be loaded: `discovery dlq list` says why.",
        (Query(grown("discovery_redis_dead_letters_total")),),
        steps=ANY,
        decimals=0,
        alert="DiscoveryDeadLetters",
    ),
)

_RUNS = (
    Panel(
        "Periods since a run succeeded",
        "Climbs to 1 and falls when the week's run serves. Dashed: a run is late; two are missing.",
        (Query(_BEHIND, "periods"),),
        steps=PERIODS,
        limits=True,
        alert="DiscoveryRunOverdue",
    ),
    Panel(
        "Lists, by what became of them",
        "Of the newest run that got so far, its treatment. All four lines are one where nothing was lost on the way.",
        (Query(of("discovery_run_lists", "kind", arm="treatment"), "{{kind}}"),),
    ),
    Panel(
        "Runs in the registry",
        "By state; FAILED ones stay until they are cleared away.",
        (Query(of("discovery_run_states", "state"), "{{state}}"),),
    ),
    States(
        "The newest run",
        "Whether it was stopped by an error.",
        (Query(f"1 - {of('discovery_run_last_failed')}", "newest run"),),
        words={1: ("ran or runs", "green"), 0: ("failed", "red")},
        alert="DiscoveryRunFailed",
    ),
    Panel(
        "Folders of runs",
        "Kept, and those whose manifest cannot be read; damaged ones are never used again.",
        (
            Query(of("discovery_run_folders"), "kept"),
            Query(of("discovery_run_damaged_folders"), "damaged"),
            Query(of("discovery_run_unreadable"), "unreadable in the registry"),
        ),
        width=12,
        height=5,
    ),
)

_STAGES = (
    Panel(
        "Stages, when each last finished",
        "A stage that finished long before the others is where the newest run stands, or failed.",
        (
            Query(of("discovery_stage_seconds", "stage")),
            Query(f"max by (stage) ({of('discovery_stage_peak_bytes', 'stage', 'process')})"),
            Query(days_since("discovery_stage_finished_timestamp_seconds", "stage")),
        ),
        kind="table",
        key="stage",
        columns=(
            Column("Took", "s", calm="text"),
            Column("Largest process", "bytes", calm="text"),
            Column("Finished, days ago", DAYS, calm="text", decimals=1),
        ),
    ),
    Panel(
        "Seconds of each stage",
        "Of the run in which it last finished. Steadily more: more data. A jump: fewer cores, or partials made anew.",
        (Query(of("discovery_stage_seconds", "stage"), "{{stage}}"),),
        "s",
        stacked=True,
    ),
    Panel(
        "Peak memory",
        "The most over all stages, by process: of the JVM, of the driver's Python, of one host's Python workers.",
        (Query(f"max by (process) ({of('discovery_stage_peak_bytes', 'stage', 'process')})", "{{process}}"),),
        "bytes",
    ),
)

_PUSH = (
    Panel(
        "Lists on their way",
        "Of the runs on their way: announced, and what Redis has of them. Nothing between pushes.",
        (
            Query(or_zero(of("discovery_run_push_loaded_lists")), "loaded"),
            Query(or_zero(of("discovery_run_push_announced_lists")), "announced", dashed=True),
        ),
        alert="DiscoveryPushStalled",
    ),
    Panel(
        "Push without progress",
        "Since a loader last did something for it. Dashed: when the alert fires, and when the push fails; what serves "
        "stays.",
        (
            Query(or_zero(_STILL), "without progress"),
            Query(f"0.2 * {of('discovery_run_push_stall_seconds')}", "alert", dashed=True),
            Query(of("discovery_run_push_stall_seconds"), "fails", dashed=True),
        ),
        "s",
        alert="DiscoveryPushStalled",
    ),
    Panel(
        "Dead letters",
        "Within an hour, as Redis counts; the push fails by them. `discovery dlq list` says why.",
        (Query(grown("discovery_redis_dead_letters_total"), "records"),),
        alert="DiscoveryDeadLetters",
    ),
)

_EXPORTER = (
    States(
        "What the exporter can read",
        "A source that is down takes its own metrics away, and no other's.",
        (Query(of("discovery_export_source_up", "source", how="min"), "{{source}}"),),
        words=UP,
        height=6,
        alert="DiscoverySourceUnreadable",
    ),
    Panel(
        "Time that reading takes",
        "By source; near Prometheus' timeout, series begin to miss.",
        (Query(of("discovery_export_source_seconds", "source"), "{{source}}"),),
        "s",
        width=6,
        height=6,
    ),
    Panel(
        "Errors of the exporter",
        "Within an hour, by source.",
        (Query(grown("discovery_export_errors_total", "source"), "{{source}}"),),
        width=6,
        height=6,
        alert="DiscoverySourceUnreadable",
    ),
)

JOB = Dashboard(
    "job",
    "Job",
    "Whether the weekly run works: runs, stages, the push into Redis, the exporter.",
    (
        Row("Now", _NOW),
        Row("Runs", _RUNS),
        Row("Stages", _STAGES),
        Row("Push", _PUSH),
        Row("Exporter", _EXPORTER),
    ),
    since="now-28d",
    refresh="5m",
)
