"""The dashboard of what people do with their lists."""

from deploy.monitoring.panels import Column, Dashboard, Panel, Query, Row, States, Tile
from deploy.monitoring.queries import days_since, of
from deploy.monitoring.words import ANY, BAD, DAYS

_DECISIONS = ("raise", "hold", "stop")
_DECISION = " + ".join(
    f"{number} * {of('discovery_experiment_decision', decision=word)}" for number, word in enumerate(_DECISIONS, 1)
)
_HITS = "discovery_run_outcome_hits_per_answer"

_NOW = (
    Tile(
        "Experiment",
        "Whether one is open; `discovery experiment status` has its recipes.",
        (Query(of("discovery_experiment_open")),),
        words={1: ("open", "blue"), 0: ("none", "text")},
    ),
    Tile(
        "Weeks summed",
        "Of the newest experiment.",
        (Query(of("discovery_experiment_week")),),
        calm="text",
    ),
    Tile(
        "Last week",
        "Of the experiment: then it ends at the latest.",
        (Query(of("discovery_experiment_last_week")),),
        calm="text",
    ),
    Tile(
        "Share to treat",
        "Of the users, by the ramp's newest decision; the dashboard Serving says what is served.",
        (Query(of("discovery_experiment_share_ratio")),),
        "percentunit",
        calm="text",
    ),
    Tile(
        "Decision",
        "The ramp's newest. Stop: the cap is 0 from then on, and what served before serves again.",
        (Query(_DECISION),),
        words={1: ("raise", "green"), 2: ("hold", "orange"), 3: ("stop", "red")},
        alert="DiscoveryStopNotEnforced",
    ),
    Tile(
        "Arms of wrong size",
        "The sizes of the arms are not those of the share: no effect can be believed.",
        (Query(of("discovery_experiment_mismatch")),),
        words=BAD,
        alert="DiscoveryRatioMismatch",
    ),
    Tile(
        "Guardrails breached",
        "Metrics that got worse by more than their margins.",
        (Query(f"sum ({of('discovery_experiment_guardrail_breached', 'guardrail')})"),),
        steps=ANY,
        alert="DiscoveryGuardrailBreached",
    ),
    Tile(
        "Stop not enforced",
        "It was decided to stop, and nothing has been done yet: `discovery share 0` does it now.",
        (Query(of("discovery_experiment_stop_unenforced")),),
        words=BAD,
        alert="DiscoveryStopNotEnforced",
    ),
)

_EXPERIMENT = (
    Panel(
        "Effects",
        "Of the treatment, as part of the control's mean, with ends that hold at all weekly looks. Both ends above 0: "
        "it gains.",
        (
            Query(of("discovery_experiment_lift_ratio", "metric")),
            Query(of("discovery_experiment_lift_low_ratio", "metric")),
            Query(of("discovery_experiment_lift_high_ratio", "metric")),
        ),
        kind="table",
        key="metric",
        columns=(
            Column("Effect", "percentunit", steps=((0, "green"),), calm="red", decimals=2),
            Column("From", "percentunit", steps=((0, "green"),), calm="text", decimals=2),
            Column("To", "percentunit", steps=((0, "text"),), calm="red", decimals=2),
        ),
    ),
    Panel(
        "Effects, week by week",
        "Dashed: the ends of each interval. They narrow from look to look; the last look is the one that counts.",
        (
            Query(of("discovery_experiment_lift_ratio", "metric"), "{{metric}}"),
            Query(of("discovery_experiment_lift_low_ratio", "metric"), "{{metric}}, from", dashed=True),
            Query(of("discovery_experiment_lift_high_ratio", "metric"), "{{metric}}, to", dashed=True),
        ),
        "percentunit",
        low=None,
        width=16,
    ),
    States(
        "Guardrails",
        "Whether a metric got worse by more than its margin.",
        (Query(of("discovery_experiment_guardrail_breached", "guardrail"), "{{guardrail}}"),),
        words={0: ("within its margin", "green"), 1: ("breached", "red")},
        width=8,
        alert="DiscoveryGuardrailBreached",
    ),
    States(
        "Decisions of the ramp",
        "Raise: the next week's run treats more users. Stop: nobody.",
        (Query(_DECISION, "decision"),),
        words={1: ("raise", "green"), 2: ("hold", "orange"), 3: ("stop", "red")},
        width=8,
        alert="DiscoveryStopNotEnforced",
    ),
    Panel(
        "Share",
        "To be treated by the newest decision, and served.",
        (
            Query(of("discovery_experiment_share_ratio"), "decided"),
            Query(of("discovery_serving_share_ratio"), "served", dashed=True),
        ),
        "percentunit",
        high=1,
        height=5,
    ),
)

_OUTCOMES = (
    Panel(
        "Hits per answer",
        "Over the last seven mature days, by arm, and by what the figure rests on: lists, answers, or impressions. "
        "Compare arms of one basis only.",
        (Query(of(_HITS, "arm", "basis"), "{{arm}}, {{basis}}"),),
        alert="DiscoveryOutcomesLate",
    ),
    Panel(
        "Hits per answer, with intervals",
        "Of the treatment, with the ends of its 95 % interval.",
        (
            Query(of(_HITS, "basis", arm="treatment"), "{{basis}}"),
            Query(
                of("discovery_run_outcome_hits_per_answer_low", "basis", arm="treatment"),
                "{{basis}}, from",
                dashed=True,
            ),
            Query(
                of("discovery_run_outcome_hits_per_answer_high", "basis", arm="treatment"), "{{basis}}, to", dashed=True
            ),
        ),
    ),
    Panel(
        "New engagements that had been listed",
        "Part of all that are new. Users find sources anyway: compare arms.",
        (Query(of("discovery_run_outcome_listed_new_ratio", "arm", "basis"), "{{arm}}, {{basis}}"),),
        "percentunit",
    ),
    Panel(
        "Hits",
        "On these seven days.",
        (Query(of("discovery_run_outcome_hits", "arm", "basis"), "{{arm}}, {{basis}}"),),
    ),
    Panel(
        "Answers",
        "On these seven days.",
        (Query(of("discovery_run_outcome_answers", "arm", "basis"), "{{arm}}, {{basis}}"),),
    ),
    Panel(
        "How far behind",
        "Days since the last that is landed, measured, and mature (no late event can change it). "
        "Dashed: where the alert fires for what is measured.",
        (
            Query(days_since("discovery_run_outcome_landed_timestamp_seconds"), "landed"),
            Query(days_since("discovery_run_outcome_measured_timestamp_seconds"), "measured"),
            Query(days_since("discovery_run_outcome_mature_timestamp_seconds"), "mature"),
        ),
        DAYS,
        steps=((3, "red"),),
        limits=True,
        alert="DiscoveryOutcomesLate",
    ),
)

EXPERIMENT = Dashboard(
    "experiment",
    "Outcomes and experiment",
    "What people do with their lists: hits, and what a treatment changes.",
    (Row("Now", _NOW), Row("Experiment", _EXPERIMENT), Row("Outcomes", _OUTCOMES)),
    since="now-12w",
    refresh="15m",
)
