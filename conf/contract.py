"""The contract shared by all sides: ids, table schemas, and the arm, partition and bucket of a user.

Standard library and pyarrow only. `conf/contract_vectors.json` holds test vectors for readers in other languages.
"""

import hashlib
import re
import zlib
from collections.abc import Iterable
from typing import Literal

import pyarrow as pa

IdKind = Literal["int64", "string"]
UserId = int | str

MAX_ID_BYTES = 255
"""Longest string id in UTF-8; training allocates the length of the longest id for each id."""

ID_RULE = f"1 … {MAX_ID_BYTES} bytes of UTF-8 without NUL"
"""The rule of `is_id`, for messages."""

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

_INT64 = re.compile(r"0|-?[1-9][0-9]{0,18}")
_UTC = pa.timestamp("us", tz="UTC")


def is_id(text: str) -> bool:
    """Returns whether a string can be the id of a user or source: 1 … MAX_ID_BYTES bytes of UTF-8 without NUL.

    NUL is refused because numpy's strings end there and no command line can contain it. Any int64 can be an id.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return 1 <= len(encoded) <= MAX_ID_BYTES and b"\0" not in encoded


def parse_int64(text: str) -> int | None:
    """Returns the int64 in its only accepted spelling, else None, e.g. for 007, +5, 1_0 and １２."""
    number = int(text) if _INT64.fullmatch(text) else 2**63
    return number if -(2**63) <= number < 2**63 else None


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


def arm_of(user_id: UserId, salt: str) -> int:
    """Returns a user's place 0 … 9,999; it is in the treatment if below the share in basis points."""
    return int.from_bytes(hashlib.sha256(f"{salt}|{user_id}".encode()).digest()[:4]) % 10_000


def partition_of(user_id: UserId, partitions: int) -> int:
    """Returns the Kafka partition of a user: crc32 of the id as UTF-8, modulo `partitions`."""
    return zlib.crc32(str(user_id).encode()) % partitions


def bucket_of(user_id: UserId, partitions: int, buckets: int) -> int:
    """Returns the number of a user's Redis hash in their partition, 0 … buckets − 1."""
    return zlib.crc32(str(user_id).encode()) // partitions % buckets
