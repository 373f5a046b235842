"""What every side of the product shares: ids, the tables of a run, and the arm, partition and bucket of a user.

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
"""Longest string id in UTF-8: training takes as many bytes for each id as its longest has."""

ID_RULE = f"1 … {MAX_ID_BYTES} bytes of UTF-8 without NUL"
"""What `is_id` asks of a string, for people."""

EXCLUSION_REASONS = ("seen", "subscribed", "blocked", "owned")
"""Why a list must not hold a source: the user has events with it, follows it, blocked it, or owns it."""

_INT64 = re.compile(r"0|-?[1-9][0-9]{0,18}")
_UTC = pa.timestamp("us", tz="UTC")


def is_id(text: str) -> bool:
    """Returns whether a string can be the id of a user or a source: 1 … MAX_ID_BYTES bytes of UTF-8, no NUL among them.

    numpy's strings end where NULs do, and no command line can hold one. An int64 can always be an id.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return 1 <= len(encoded) <= MAX_ID_BYTES and b"\0" not in encoded


def parse_int64(text: str) -> int | None:
    """Returns the number that a text is the one spelling of; None for any other text: 007, +5, 1_0, １２ are nobody's
    id.
    """
    number = int(text) if _INT64.fullmatch(text) else 2**63
    return number if -(2**63) <= number < 2**63 else None


def _id(kind: IdKind) -> pa.DataType:
    return pa.int64() if kind == "int64" else pa.string()


def daily_partials(kind: IdKind) -> pa.Schema:
    """Returns one row per (user, source, event) of one dataset and one partition day."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_id", _id(kind)),
            ("event", pa.string()),
            ("events", pa.int64()),  # number of events
            ("amount", pa.float64()),  # Σ of the weight column (1 per event without one), the same in every order
            ("last_ts", _UTC),
        ]
    )


def interactions(kind: IdKind) -> pa.Schema:
    """Returns one row per (user, source) with positive weight over the windows, sorted by user_id, source_id."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("weight", pa.float64()), ("last_ts", _UTC)])


def exclusions(kind: IdKind) -> pa.Schema:
    """Returns one row per (user, source, reason), reason in EXCLUSION_REASONS."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("reason", pa.string())])


def sources(kind: IdKind) -> pa.Schema:
    """Returns one row per source of the catalogue or of the interactions, with its popularity over the windows."""
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
    """Returns one row per source as it was known at the cut, with its popularity over the windows that end there."""
    known_since = pa.field("since", _UTC)  # created, else first engaged with in the windows; null: neither is known
    return sources(kind).append(known_since)


def judged_users(kind: IdKind, arms: Iterable[str]) -> pa.Schema:
    """Returns one row per user with a truth: what each arm serves them, cut at k, and how good it is for them."""
    served = pa.struct(
        [
            ("source_ids", pa.list_(_id(kind))),  # best first
            ("ndcg", pa.float64()),
            ("recall", pa.float64()),
            ("map", pa.float64()),
            ("new_ndcg", pa.float64()),  # new_*: the truth's new sources only; null: it has none
            ("new_recall", pa.float64()),
            ("new_map", pa.float64()),
            ("novelty", pa.float64()),  # mean bits of the listed sources; null: the list is empty
            ("covered", pa.bool_()),  # a list of their own that is not empty
            ("fallback", pa.bool_()),  # served the fallback list, whole or without their exclusions
        ]
    )
    judged = pa.schema([("user_id", _id(kind)), ("segment", pa.string())])  # cold, light, heavy
    for arm in arms:
        judged = judged.append(pa.field(arm, served))
    return judged


def holdout(kind: IdKind) -> pa.Schema:
    """Returns one row per (user, source) that the user newly engaged with in the hold-out days."""
    return pa.schema([("user_id", _id(kind)), ("source_id", _id(kind)), ("weight", pa.float64())])


def audience(kind: IdKind) -> pa.Schema:
    """Returns one row per user who must get a list."""
    return pa.schema([("user_id", _id(kind))])


def user_factors(kind: IdKind) -> pa.Schema:
    """Returns one row per user with interactions, sorted by user_id; `factors` has `train.factors` float32."""
    return pa.schema([("user_id", _id(kind)), ("factors", pa.list_(pa.float32()))])


def source_factors(kind: IdKind) -> pa.Schema:
    """Returns one row per source with interactions, sorted by source_id."""
    return pa.schema([("source_id", _id(kind)), ("factors", pa.list_(pa.float32()))])


def lists(kind: IdKind) -> pa.Schema:
    """Returns one row per user with a list of their own."""
    return pa.schema(
        [
            ("user_id", _id(kind)),
            ("source_ids", pa.list_(_id(kind))),  # best first, no duplicates, at most lists.n
            ("scores", pa.list_(pa.float32())),  # as long as source_ids, finite, descending
            ("personal", pa.bool_()),  # false: the fallback list minus the user's exclusions
        ]
    )


def snapshot(kind: IdKind) -> pa.Schema:
    """Returns one row per user: what is pushed, record for record; sorted by (partition, seq)."""
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
    """Returns one row per change of what is served, sorted by `since`: the pointer from then until the next row's
    moment.
    """
    columns: list[tuple[str, pa.DataType]] = [
        ("revision", pa.int64()),  # grows by one with each change; 0: Redis lost what it had, nothing is served
        ("since", _UTC),  # by Redis' clock
        ("until", _UTC),  # null: now
        ("treatment", pa.string()),  # run of the users with arm_of(user, salt) < share_bp; null: none
        ("control", pa.string()),  # run of all others; null: the caller's own default
        ("salt", pa.string()),
        ("share_bp", pa.int32()),
        ("cap_bp", pa.int32()),  # the largest share that the operator allows
        ("hold", pa.string()),  # why no run is promoted by itself; null: runs are
        ("reason", pa.string()),  # of the change
        ("who", pa.string()),  # made it; null: not known any more
    ]
    return pa.schema(columns)


def arm_of(user_id: UserId, salt: str) -> int:
    """Returns the user's place 0 … 9,999 in the rollout: in the treatment when it is below the share in basis
    points.
    """
    return int.from_bytes(hashlib.sha256(f"{salt}|{user_id}".encode()).digest()[:4]) % 10_000


def partition_of(user_id: UserId, partitions: int) -> int:
    """Returns the Kafka partition of a user: crc32 of the id as UTF-8, modulo `partitions`."""
    return zlib.crc32(str(user_id).encode()) % partitions


def bucket_of(user_id: UserId, partitions: int, buckets: int) -> int:
    """Returns the Redis hash of a user within their partition, 0 … buckets − 1."""
    return zlib.crc32(str(user_id).encode()) // partitions % buckets
