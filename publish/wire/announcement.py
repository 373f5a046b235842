"""What a publisher says about a run before it sends the first record; immutable from then on.

It lies in Redis (`{<product>}:runs`, field `<run>`) as canonical JSON; BEGIN carries its hash. It is all that a loader
needs to judge what arrives, and all that a reader needs to find and decode a list.
"""

import base64
import json
from datetime import date
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from conf.base import Strict
from conf.contract import IdKind
from conf.digest import sha256_of
from publish.errors import MalformedMessage
from publish.wire.keys import Layout

RunName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""A run id; free of the characters that have a meaning in Redis keys."""


_BUCKETS = 2**20
"""Buckets of a partition that any run may have; more of them only with as many lists."""


class Slice(Strict):
    """What one partition of a run holds."""

    partition: int = Field(ge=0)
    count: int = Field(ge=0, lt=2**32)
    """Records; their seq is 0 … count − 1."""
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """publish.wire.digest over the records."""
    bytes: int = Field(ge=0, lt=2**63)
    """Bytes of keys and payloads, without envelopes."""


class Announcement(Strict):
    """One run, as announced."""

    format: Literal[1] = 1
    """Version of this document."""
    run: RunName
    epoch: int = Field(ge=1, lt=2**63)
    """Place of the run in the order of all runs of the product; newer is larger."""
    product: str
    as_of: date
    partitions: int = Field(ge=1, le=4096)
    """Kafka partitions, P."""
    buckets: int = Field(ge=1)
    """Redis hashes per partition, B."""
    tags: tuple[str, ...]
    """Redis Cluster hash tag of each partition."""
    codec: int = Field(default=1, ge=1, le=255)
    """How payloads are encoded: 1 is the protobuf message List."""
    ids: IdKind
    """Kind of user and source ids."""
    list_size: int = Field(ge=1, lt=2**31)
    """Sources in an answer, at most; the fallback list is longer, to leave room for exclusions."""
    salt: str
    """Salt of the arm hash."""
    share_bp: int = Field(ge=0, le=10_000)
    """Share of the audience that the run covers, in basis points."""
    slices: tuple[Slice, ...]
    """What each partition holds, in order of partition."""
    fallback: str
    """Base64 of the encoded fallback list: 64-bit ids survive every language's JSON."""
    first: bool = False
    """The product's first run: compared with nothing."""
    scheduled: bool
    """Started by the scheduler; otherwise by a person."""
    gates_passed: bool
    """Both gates passed."""
    max_change_of_users: float = Field(gt=0)
    """Relative change of users against the run that is replaced, share for share, at most, to promote."""
    config_hash: str
    created_at: AwareDatetime
    load_deadline_seconds: int = Field(ge=1, lt=2**63)
    """Seconds from BEGIN until the run must serve."""
    stall_seconds: int = Field(ge=1, lt=2**63)
    """Seconds without progress until the load is FAILED."""
    replicas: int = Field(default=0, ge=0, lt=2**31)
    """Replicas of each Redis master that must have acknowledged its lists before the run may serve."""

    @model_validator(mode="after")
    def _consistent(self) -> "Announcement":
        if len(self.tags) != self.partitions:
            raise ValueError(f"{len(self.tags)} tags for {self.partitions} partitions")
        if [piece.partition for piece in self.slices] != list(range(self.partitions)):
            raise ValueError(f"slices must be of the partitions 0 … {self.partitions - 1}, each once and in order")
        if len(set(self.tags)) != self.partitions:
            raise ValueError("two partitions have the same tag")
        if self.buckets > max(_BUCKETS, self.users):  # each one is read when a partition is verified, also an empty one
            raise ValueError(f"{self.buckets} buckets in each partition for {self.users} lists")
        base64.b64decode(self.fallback, validate=True)
        return self

    @classmethod
    def from_json(cls, raw: bytes | str) -> "Announcement":
        """Returns the announcement of its JSON; raises MalformedMessage."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise MalformedMessage(": ".join(filter(None, ["announcement", where, first["msg"]]))) from None

    @property
    def canonical(self) -> bytes:
        """Its JSON with sorted keys and no spaces, UTF-8: the bytes that are stored and hashed."""
        tree = self.model_dump(mode="json")
        if self.replicas == 0:  # what was announced before there was this field keeps its bytes and its hash
            del tree["replicas"]
        return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical` as hex."""
        return sha256_of(self.canonical)

    @property
    def layout(self) -> Layout:
        """Where its lists lie in Redis."""
        return _layout(self.product, self.partitions, self.buckets, self.tags)

    @property
    def users(self) -> int:
        """Records in all partitions."""
        return sum(piece.count for piece in self.slices)

    @property
    def total_bytes(self) -> int:
        """Bytes of keys and payloads in all partitions."""
        return sum(piece.bytes for piece in self.slices)


def encode_fallback(payload: bytes) -> str:
    """Returns the value of `Announcement.fallback` for an encoded list."""
    return base64.b64encode(payload).decode()


def decode_fallback(fallback: str) -> bytes:
    """Returns the encoded list of `Announcement.fallback`."""
    return base64.b64decode(fallback)


@lru_cache(maxsize=64)
def _layout(product: str, partitions: int, buckets: int, tags: tuple[str, ...]) -> Layout:
    return Layout(product, partitions, buckets, tags)
