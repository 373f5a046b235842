"""The announcement of a run: everything a publisher declares before it sends the first record. Immutable.

It is stored in Redis (`{<product>}:runs`, field `<run>`) as canonical JSON; BEGIN carries its hash. A loader needs
nothing else to check the records, and a reader nothing else to find and decode a list.
"""

import base64
import json
from datetime import date
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from conf.base import Strict
from conf.digest import sha256_of
from conf.ids import IdKind
from conf.share import Share
from publish.errors import MalformedMessage
from publish.wire.keys import Layout

RunName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""A run id; free of the characters that have a meaning in Redis keys."""


_BUCKETS = 2**20
"""Most buckets that a partition of any run may have; a run with more lists may have as many buckets as lists."""


_LATER = {"replicas": 0, "role": "treatment", "control": None}
"""Fields that older announcements do not have, and their defaults."""


class Slice(Strict):
    """What one partition of a run contains."""

    partition: int = Field(ge=0)
    count: int = Field(ge=0, lt=2**32)
    """Records; their seq is 0 … count − 1."""
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """publish.wire.digest over the records."""
    bytes: int = Field(ge=0, lt=2**63)
    """Bytes of keys and payloads, without envelopes."""


class Announcement(Strict):
    """The announcement of one run."""

    format: Literal[1] = 1
    """Version of this document's format."""
    run: RunName
    epoch: int = Field(ge=1, lt=2**63)
    """Position of the run among all runs of the product; a newer run has a larger epoch."""
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
    """Most sources in an answer; the fallback list is longer, to leave room for exclusions."""
    salt: str
    """Salt of the arm hash."""
    share_bp: Share
    """Share of the audience that the run covers, in basis points."""
    slices: tuple[Slice, ...]
    """What each partition contains, ordered by partition."""
    fallback: str
    """The encoded fallback list in Base64, since 64-bit ids do not survive the JSON of every language."""
    first: bool = False
    """True for the product's first run, which is compared with no other run."""
    scheduled: bool
    """True if the scheduler started the run, False if a person did."""
    gates_passed: bool
    """True if both gates passed."""
    max_change_of_users: float = Field(gt=0)
    """Largest relative change of users per share, against the run it replaces, that may be promoted."""
    config_hash: str
    created_at: AwareDatetime
    load_deadline_seconds: int = Field(ge=1, lt=2**63)
    """Seconds after BEGIN by which the run must serve."""
    stall_seconds: int = Field(ge=1, lt=2**63)
    """Seconds without progress after which the load is FAILED."""
    replicas: int = Field(default=0, ge=0, lt=2**31)
    """Replicas of each Redis master that must acknowledge its lists before the run may serve."""
    role: Literal["treatment", "control"] = "treatment"
    """The arm that it is made for; a control never becomes the treatment."""
    control: RunName | None = None
    """The run that serves the other users with it; None: nothing does, and the caller's own default applies."""

    @model_validator(mode="after")
    def _consistent(self) -> "Announcement":
        if len(self.tags) != self.partitions:
            raise ValueError(f"{len(self.tags)} tags for {self.partitions} partitions")
        if [piece.partition for piece in self.slices] != list(range(self.partitions)):
            raise ValueError(f"slices must be of the partitions 0 … {self.partitions - 1}, each once and in order")
        if len(set(self.tags)) != self.partitions:
            raise ValueError("two partitions have the same tag")
        if self.buckets > max(_BUCKETS, self.users):  # verification reads each one, even if empty
            raise ValueError(f"{self.buckets} buckets in each partition for {self.users} lists")
        if self.control is not None and (self.role == "control" or self.control == self.run):
            raise ValueError("a control has no control of its own")
        base64.b64decode(self.fallback, validate=True)
        return self

    @classmethod
    def from_json(cls, raw: bytes | str) -> "Announcement":
        """Returns the announcement parsed from its JSON; raises MalformedMessage."""
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
        for name, default in _LATER.items():  # older announcements, without these fields, keep their bytes and hash
            if tree[name] == default:
                del tree[name]
        return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical` as hex."""
        return sha256_of(self.canonical)

    @property
    def layout(self) -> Layout:
        """The Redis keys of its lists."""
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
