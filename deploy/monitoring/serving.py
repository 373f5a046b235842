"""The dashboard of what users get now."""

from deploy.monitoring.panels import Column, Dashboard, Panel, Query, Row, States, Tile
from deploy.monitoring.queries import days_since, grown, of, or_zero, quantile, rate
from deploy.monitoring.words import ANY, BAD, DAYS, GOOD, HELD, PERIODS, RUN, UP

_FAILED = or_zero(rate("discovery_lookup_seconds_count", outcome="failed"))
_FIRING = 'ALERTS{product="$product", alertstate="firing"}'
_NONE = 'label_replace(vector(0), "alertname", "no alert", "", "")'
_DROPPED = grown("discovery_lookup_exposures_total", "what", what="!logged|delivered")

_PRODUCTS = Panel(
    "Every product",
    "A line for each product of this installation, whichever is chosen above. Red says where to look first.",
    (
        Query("max by (product) (discovery_serving_treatment)"),
        Query("(time() - max by (product) (discovery_serving_as_of_timestamp_seconds)) / 86400"),
        Query(
            "(time() - max by (product) (discovery_run_last_success_timestamp_seconds))"
            " / max by (product) (discovery_run_period_seconds)"
        ),
        Query("max by (product) (discovery_run_last_failed)"),
        Query("sum by (product) (1 - max by (product, gate, arm) (discovery_gate_passed))"),
        Query("max by (product) (discovery_serving_share_ratio)"),
        Query("max by (product) (discovery_serving_damaged_partitions)"),
        Query("max by (product) (discovery_redis_up)"),
    ),
    kind="table",
    width=24,
    height=6,
    columns=(
        Column("Serves", words=RUN),
        Column("Age of the data", DAYS, calm="text", decimals=1),
        Column("Periods since a run succeeded", steps=PERIODS, decimals=2),
        Column("Last run failed", words=BAD),
        Column("Gates that failed", steps=ANY),
        Column("Share", "percentunit", calm="text"),
        Column("Damaged partitions", steps=ANY),
        Column("Redis", words=UP),
    ),
)

_ALERTS = States(
    "Alerts that fire",
    "Of the chosen product; the name of an alert is its heading in the runbook.",
    (Query(f"max by (alertname, severity) ({_FIRING}) or on () {_NONE}", "{{alertname}}"),),
    words={0: ("quiet", "green"), 1: ("fires", "red")},
    width=24,
    height=5,
)

_NOW = (
    Tile(
        "Serves",
        "Nothing: callers get their own default. Nothing was promoted yet, the share is 0, or Redis lost its data.",
        (Query(of("discovery_serving_treatment")),),
        words=RUN,
        alert="DiscoveryNothingServes",
    ),
    Tile(
        "Age of the data",
        "Days since the day as of which the lists are; of a weekly product between 0 and about 8.",
        (Query(days_since("discovery_serving_as_of_timestamp_seconds")),),
        DAYS,
        calm="text",
        decimals=1,
        alert="DiscoveryServingTooOld",
    ),
    Tile(
        "Periods since a run succeeded",
        "In periods of the product's schedule: above 1.25 a run is late, above 2.25 two are missing.",
        (
            Query(
                f"(time() - {of('discovery_run_last_success_timestamp_seconds')})"
                f" / {of('discovery_run_period_seconds')}"
            ),
        ),
        steps=PERIODS,
        decimals=2,
        alert="DiscoveryRunOverdue",
    ),
    Tile(
        "Look-ups that failed",
        "Part of all requests that were answered with 5xx. Requests by outcome and problems by word say which.",
        (Query(f"({_FAILED}) / {rate('discovery_lookup_seconds_count')}"),),
        "percentunit",
        steps=((0.001, "orange"), (0.01, "red")),
        decimals=2,
        alert="DiscoveryLookupErrors",
    ),
    Tile(
        "p99 of a look-up",
        "99 % of the look-ups of one user were faster, as the service measures.",
        (Query(quantile(0.99)),),
        "s",
        steps=((0.02, "orange"), (0.05, "red")),
        alert="DiscoveryLookupSlow",
    ),
    Tile(
        "Runs that still fit",
        "Room in Redis ÷ memory of the largest run there. Below 1 the next push does not fit and will be refused.",
        (Query(f"{of('discovery_redis_room_bytes')} / {of('discovery_redis_largest_run_bytes')}"),),
        calm="red",
        steps=((1, "orange"), (1.25, "green")),
        decimals=1,
        alert="DiscoveryRedisMemory",
    ),
    Tile(
        "Damaged partitions",
        "Partitions of what serves that lost writes. Their users get the fallback list until a loader has loaded "
        "them again.",
        (Query(of("discovery_serving_damaged_partitions")),),
        steps=ANY,
        alert="DiscoveryPartitionsLost",
    ),
    Tile(
        "Held",
        "Whether an operator's hold keeps new runs from being promoted; `discovery unhold` ends it.",
        (Query(of("discovery_serving_held")),),
        words=HELD,
        alert="DiscoveryHeld",
    ),
)

_LOOKUPS = (
    Panel(
        "Requests by outcome",
        "A second, over all services. list, fallback, control and none are answers to one user; ok is a batch; "
        "refused is 4xx, failed is 5xx.",
        (Query(rate("discovery_lookup_seconds_count", "outcome"), "{{outcome}}"),),
        "reqps",
        stacked=True,
        alert="DiscoveryLookupErrors",
    ),
    Panel(
        "Time of a look-up",
        "Of one user, as the service measures, without the way to it. Dashed: what the alert allows p99.",
        tuple(Query(quantile(part), name) for part, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))),
        "s",
        steps=((0.05, "red"),),
        limits=True,
        alert="DiscoveryLookupSlow",
    ),
    Panel(
        "Answers by kind",
        "Part of the users who were answered. More fallback than usual: partitions are damaged, or the run covers "
        "fewer users.",
        (
            Query(
                f"{rate('discovery_lookup_answers_total', 'kind')}"
                f" / ignoring (kind) group_left () {rate('discovery_lookup_answers_total')}",
                "{{kind}}",
            ),
        ),
        "percentunit",
        stacked=True,
        high=1,
    ),
    Panel(
        "Problems by word",
        "A second: requests, and users of a batch, without an answer. docs/serve.md has the words: redis, unavailable, "
        "overloaded, too_slow, unreadable and internal are ours, the others are the callers'.",
        (Query(or_zero(rate("discovery_lookup_problems_total", "word")), "{{word}}"),),
        "reqps",
        stacked=True,
        alert="DiscoveryLookupErrors",
    ),
    Panel(
        "Exposures that were dropped",
        "Within an hour, by reason: answers that no outcome can be measured of. Look-ups never wait for the log.",
        (Query(or_zero(_DROPPED), "{{what}}"),),
        width=5,
        alert="DiscoveryExposuresDropped",
    ),
    Panel(
        "Age of the pointer",
        "Of the oldest process. Services read it every 2 s; above 5 s they answer nobody.",
        (Query(of("discovery_lookup_pointer_age_seconds"), "oldest"),),
        "s",
        width=5,
        steps=((5, "red"),),
        limits=True,
        alert="DiscoveryRedisAway",
    ),
    Panel(
        "Requests being answered",
        "At once, over all services; beyond its limit a service answers `overloaded`.",
        (Query(of("discovery_lookup_in_flight", how="sum"), "in flight"),),
        width=6,
    ),
)

_STATE = (
    Panel(
        "Share",
        "Of the users who are served the treatment, and what the operator allows at most (`discovery share`).",
        (
            Query(of("discovery_serving_share_ratio"), "served"),
            Query(of("discovery_serving_cap_ratio"), "operator's limit", dashed=True),
        ),
        "percentunit",
        high=1,
        alert="DiscoveryStopped",
    ),
    Panel(
        "Users with a list of their own",
        "In the run that serves each arm; all others get its fallback list.",
        (Query(of("discovery_serving_users", "arm"), "{{arm}}"),),
    ),
    Panel(
        "Memory of Redis",
        "Over all masters. A push needs room for a whole run beside what serves.",
        (
            Query(of("discovery_redis_memory_used_bytes"), "used"),
            Query(of("discovery_redis_memory_max_bytes"), "maxmemory", dashed=True),
        ),
        "bytes",
        alert="DiscoveryRedisMemory",
    ),
    States(
        "Redis",
        "Whether it answers the exporter, and whether it is complete: while a rebuild runs, nothing serves.",
        (
            Query(of("discovery_redis_up", how="min"), "answers"),
            Query(f"1 - {of('discovery_serving_restoring')}", "complete"),
        ),
        words=GOOD,
        alert="DiscoveryRedisAway",
    ),
    Panel(
        "Changes of the pointer that Kafka may not have",
        "Redis keeps them until a loader has sent them. Above 0 for long: no loader runs, or Kafka is away.",
        (Query(of("discovery_serving_unsent_changes"), "changes"),),
        width=12,
        height=5,
        alert="DiscoveryHistoryUnsent",
    ),
)

_LOADER = (
    Panel(
        "Behind the topic",
        "Records between Redis and the ends of the partitions. It falls during a push; where it stands still, see the "
        "push on the dashboard Job.",
        (
            Query(of("discovery_loader_lag_records", how="sum"), "all partitions"),
            Query(of("discovery_loader_worst_lag_records"), "the one most behind"),
        ),
        alert="DiscoveryPushStalled",
    ),
    Panel(
        "Lists stored",
        "A second, over all loaders; none between pushes.",
        (Query(rate("discovery_loader_records_loaded_total"), "lists"),),
        "cps",
    ),
    Panel(
        "Faults",
        "Within an hour: records that went to the dead letters, records of runs that were over (harmless), and times "
        "that Redis or Kafka made a loader wait.",
        (
            Query(grown("discovery_loader_dead_letters_total"), "dead letters"),
            Query(grown("discovery_loader_records_fenced_total"), "of runs that were over"),
            Query(grown("discovery_loader_faults_total"), "waits"),
        ),
        alert="DiscoveryDeadLetters",
    ),
    States(
        "Loaders",
        "Whether the last turn of every loader succeeded. No bar: no loader is scraped.",
        (Query(of("discovery_loader_healthy", how="min"), "healthy"),),
        words=GOOD,
        height=4,
        alert="DiscoveryLoaderUnwell",
    ),
    Panel(
        "Partitions that are loaded",
        "By all loaders together. Fewer than the topic has: a loader is missing.",
        (Query(of("discovery_loader_partitions", how="sum"), "partitions"),),
        width=12,
        height=4,
        alert="DiscoveryLoaderAway",
    ),
)

SERVING = Dashboard(
    "serving",
    "Serving",
    "What users get now: the pointer, look-ups, Redis, the loader.",
    (
        Row("All products", (_PRODUCTS,)),
        Row("Alerts", (_ALERTS,)),
        Row("Now", _NOW),
        Row("Look-ups", _LOOKUPS),
        Row("Pointer and Redis", _STATE),
        Row("Loader", _LOADER),
    ),
    since="now-24h",
)
