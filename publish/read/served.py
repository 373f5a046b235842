"""The fields of pointer and announcement that a reader needs; unknown fields are ignored."""

from functools import cached_property
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from conf.ids import IdKind
from publish.errors import MalformedMessage
from publish.wire.announcement import decode_fallback
from publish.wire.codec import TopList, decode
from publish.wire.keys import Layout


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def from_json(cls, raw: bytes | str, key: str) -> Self:
        """Returns the document stored under a Redis key; raises MalformedMessage if it cannot be read."""
        try:
            return cls.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            what = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise MalformedMessage(f"{key} cannot be read ({what}); is it of a newer version? upgrade") from None


class ServedPointer(_Document):
    """The fields of the pointer that decide which run answers."""

    treatment: str | None
    control: str | None
    salt: str
    share_bp: int


class ServedRun(_Document):
    """The fields of an announcement that say where the lists are and how they are encoded."""

    format: Literal[1]
    codec: Literal[1]
    product: str
    ids: IdKind
    partitions: int
    buckets: int
    tags: tuple[str, ...]
    list_size: int
    fallback: str
    created_at: AwareDatetime

    @cached_property
    def layout(self) -> Layout:
        """The Redis keys of its lists."""
        return Layout(self.product, self.partitions, self.buckets, self.tags)

    @cached_property
    def fallback_list(self) -> TopList:
        """The list for users who have none of their own; raises MalformedMessage."""
        return decode(decode_fallback(self.fallback), self.ids)
