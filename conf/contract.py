"""The contract shared by all sides: the schema of every table, and the words in them; ids are in `conf.ids`.

Standard library and pyarrow only.
"""

from collections.abc import Iterable

import pyarrow as pa

from conf.ids import IdKind

EXCLUSION_REASONS = ("seen", "subscribed", "blocked", "owned")
"""Reasons why a list must not hold a source: the user has events with it, follows, blocked or owns it."""

METRICS = {"ndcg": "NDCG@{}", "recall": "Recall@{}", "map": "MAP@{}"}
"""Metrics of a user's list cut at k: the fields of `models.metrics.ListScores`, and their headings."""

LIST_TRAITS: dict[str, tuple[pa.DataType, str]] = {
    "novelty": (pa.float64(), "mean self-information of a listed source in bits"),  # null: the list is empty
    "covered": (pa.bool_(), "share of users with a personal list that is not empty"),
    "fallback": (pa.bool_(), "share of users with the fallback list, whole or without their exclusions"),
}
"""Other properties of a user's list by name: type, and what the mean over users is, a metric from −64 to 64."""

_UTC = pa.timestamp("us", tz="UTC")


def _id(kind: IdKind) -> pa.DataType:
    return pa.int64() if kind == "int64" else pa.string()


def daily_partials(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per (user, source, event), for one dataset and partition day."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_id", _id(kind)),
            ("event", pa.string()),
            ("events", pa.int64()),  # number of events
            ("amount", pa.float64()),  # Σ of the weight column (1 per event without one), independent of the order
            ("last_ts", _UTC),
        ]
    )


def interactions(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per (user, source) with positive weight, sorted by user_id, source_id."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("weight", pa.float64()), ("last_ts", _UTC)])


def exclusions(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per (user, source, reason), with a reason of EXCLUSION_REASONS."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("reason", pa.string())])


def sources(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per source of the dataset or the interactions, with its popularity."""
    return pa.schema(
        [
            ("source_id", _id(kind)),
            ("eligible", pa.bool_()),  # may be recommended at as_of
            ("category", pa.string()),  # null: unknown
            ("owner_id", _id(kind)),  # user who owns it; null: unknown
            ("users", pa.int64()),  # users with an interaction
            ("weight", pa.float64()),  # Σ of their weights
        ]
    )


def train_sources(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per source as known at the cut, with its popularity before it."""
    known_since = pa.field("since", _UTC)  # created, else first engaged with in the windows; null: unknown
    return sources(kind).append(known_since)


def judged_users(kind: IdKind, arms: Iterable[str]) -> pa.Schema:
    """Returns the schema of one row per user of the hold-out: for each arm the top k served, and their metrics."""
    served = pa.struct(
        [
            ("source_ids", pa.list_(_id(kind))),  # best first
            *((name, pa.float64()) for name in METRICS),
            *((f"new_{name}", pa.float64()) for name in METRICS),  # on the truth's new sources only; null: it has none
            *((name, kind) for name, (kind, _) in LIST_TRAITS.items()),
        ]
    )
    judged = pa.schema([("user_id", _id(kind)), ("segment", pa.string())])  # cold, light, heavy
    for arm in arms:
        judged = judged.append(pa.field(arm, served))
    return judged


def holdout(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per (user, source) that the user newly engaged with in the hold-out days."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("weight", pa.float64())])


def audience(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per user who must get a list."""
    return pa.schema([("user_id", _id(kind))])


def user_factors(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per user, sorted by user_id; `factors` has `train.factors` float32."""
    return pa.schema([("user_id", _id(kind)), ("factors", pa.list_(pa.float32()))])


def source_factors(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per source, sorted by source_id."""
    return pa.schema([("source_id", _id(kind)), ("factors", pa.list_(pa.float32()))])


def lists(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per user with their own list."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_ids", pa.list_(_id(kind))),  # best first, no duplicates, at most lists.n
            ("scores", pa.list_(pa.float32())),  # as long as source_ids, finite, descending
            ("personal", pa.bool_()),  # false: the fallback list minus the user's exclusions
        ]
    )


def shadow(kind: IdKind) -> pa.Schema:
    """Returns the schema of `lists` of users whom the run does not serve; these are never published."""
    return lists(kind)


def list_sample(kind: IdKind) -> pa.Schema:
    """Returns the schema of a sample of the users with lists, with what made these, sorted by user_id."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_ids", pa.list_(_id(kind))),
            ("score", pa.float32()),  # of the best source; null: an empty list
            ("personal", pa.bool_()),
            ("factors", pa.list_(pa.float32())),  # null: a user without interactions
            ("excluded", pa.list_(_id(kind))),  # in any order
        ]
    )


def snapshot(kind: IdKind) -> pa.Schema:
    """Returns the schema of the published lists, one row per user and record, sorted by (partition, seq)."""
    return pa.schema(
        [
            ("partition", pa.int32()),  # partition_of(user_id, P)
            ("seq", pa.int64()),  # dense from 0 within the partition, in order of bucket_of(user_id, P, B), user_id
            ("user_id", _id(kind)),
            ("source_ids", pa.list_(_id(kind))),
            ("scores", pa.list_(pa.float32())),
        ]
    )


def impressions(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per source that was shown to a user at a time, as read from the dataset."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_id", _id(kind)),
            ("ts", _UTC),
            ("position", pa.int32()),  # place in the list, from 1; null: unknown
            ("run", pa.string()),  # whose list it was; null: unknown, or no run's
            ("surface", pa.string()),  # where in the app
        ]
    )


OUTCOME_KINDS = ("all", "event", "category", "position", "surface")
"""What a row of outcomes may be about: everything, or one value of one of the others, never of two."""

HIT_WITHIN_SECONDS = (60, 600, 3_600, 6 * 3_600, 86_400, 3 * 86_400, 7 * 86_400)
"""Upper ends, exclusive, of the classes of `first_hits`; the last class has none."""


USER_GROUPS = 128
"""Groups of users by a hash, for intervals: enough for 95 % to mean 95 %, few enough to be kept for every day."""


def outcomes() -> pa.Schema:
    """Returns the schema of one row per day, basis, run, arm, and kind and value of OUTCOME_KINDS, sorted by these.

    docs/outcomes.md defines what counts. Null: it is not defined for such a row, or not known.
    """
    columns: list[tuple[str, pa.DataType]] = [
        ("day", pa.date32()),  # UTC day of the answers
        ("basis", pa.string()),  # models.outcomes.basis
        ("run", pa.string()),  # null: no run answered
        ("arm", pa.string()),  # treatment, control, shadow (control on the treatment's shadow lists), unknown
        ("by", pa.string()),  # one of OUTCOME_KINDS
        ("value", pa.string()),  # null: everything, or not known
        ("users", pa.int64()),  # users with an answer; of a surface those with one for it, else those of run and arm
        ("answers", pa.int64()),  # answers or impressions; of a surface, a position its own, else those of run and arm
        ("places", pa.int64()),  # places in them; of an event those of run and arm
        ("hits", pa.int64()),
        (
            "hits_at",
            pa.list_(pa.int64()),
        ),  # among the first k places, for each k of outcomes.at; null: a place is not known
        ("users_hit", pa.int64()),  # users with a hit
        ("first_hit_ms", pa.int64()),  # Σ over them of the time from the answer to their first hit
        ("first_hits", pa.list_(pa.int64())),  # users by that time, in classes of HIT_WITHIN_SECONDS
        ("events", pa.int64()),  # events of these users within the horizon, listed or not
        ("events_listed", pa.int64()),  # of these, on a source that an answer held: first ones and others
        ("amount", pa.float64()),  # Σ of the weight column of `events`; only by event, else null
        ("amount_listed", pa.float64()),
        ("new", pa.int64()),  # new engagements of these users within the horizon
        ("new_listed", pa.int64()),  # of these, with a source that an answer held
        ("group_users", pa.list_(pa.int64())),  # `users` of each of USER_GROUPS; only by all, else null
        ("group_answers", pa.list_(pa.int64())),
        ("group_hits", pa.list_(pa.int64())),
    ]
    return pa.schema(columns)


def experiment_weeks(kind: IdKind) -> pa.Schema:
    """Returns the schema of what each user did in one week of an experiment: a row per metric that is not 0."""
    columns: list[tuple[str, pa.DataType]] = [
        ("user_id", _id(kind)),
        ("metric", pa.string()),  # docs/experiment-sums.md; audience, robot and seen among them
        ("x", pa.float64()),
    ]
    return pa.schema(columns)


def experiment_sums() -> pa.Schema:
    """Returns the schema of an experiment's sums: a row per metric or ratio and slice of the hash, in that order."""
    columns: list[tuple[str, pa.DataType]] = [
        ("metric", pa.string()),
        ("low_bp", pa.int32()),
        ("high_bp", pa.int32()),
        ("moments", pa.binary()),  # models.experiment.moments.Moments.to_bytes
    ]
    return pa.schema(columns)


def pointer_history() -> pa.Schema:
    """Returns the schema of one row per pointer change, sorted by `since`; a row holds until the next one's."""
    columns: list[tuple[str, pa.DataType]] = [
        ("revision", pa.int64()),  # increases by one with each change; 0: Redis lost its data, nothing is served
        ("since", _UTC),  # by Redis' clock
        ("until", _UTC),  # null: now
        ("treatment", pa.string()),  # run of the users with arm_of(user, salt) < share_bp; null: none
        ("control", pa.string()),  # run of all others; null: the caller's own default
        ("salt", pa.string()),
        ("share_bp", pa.int32()),
        ("cap_bp", pa.int32()),  # the largest share that the operator allows
        ("hold", pa.string()),  # why no run is promoted automatically; null: no hold
        ("reason", pa.string()),  # of the change
        ("who", pa.string()),  # author of the change; null: unknown
    ]
    return pa.schema(columns)


def exposures(kind: IdKind) -> pa.Schema:
    """Returns the schema of one row per answer that was logged, in files by UTC day of `ts`, sorted by `offset`."""
    columns: list[tuple[str, pa.DataType]] = [
        ("user_id", _id(kind)),
        ("ts", _UTC),  # of the answer, by the clock of the process that answered; whole milliseconds
        ("surface", pa.string()),  # where it was answered for
        ("kind", pa.string()),  # list: the user's own; fallback: the run's; control, none: the caller's own default
        ("arm", pa.string()),  # treatment, control
        ("share_bp", pa.int32()),  # share of the audience in the treatment, in basis points
        ("run", pa.string()),  # the run that answered; null: none
        ("source_ids", pa.list_(_id(kind))),  # in the order of the answer
        ("writer", pa.string()),  # the process that answered, 16 hex digits; no (writer, seq) is there twice
        ("seq", pa.int64()),  # dense from 0 within the writer; what is missing was dropped
        ("partition", pa.int32()),  # where the record was in the topic
        ("offset", pa.int64()),
    ]
    return pa.schema(columns)
