"""The history of the pointer: every change, with its reason and author.

Redis writes an entry in the call that changes the pointer, and keeps the newest. Every process with a connection to
Kafka sends entries to `<product>.pointer-history.v1` (runs.pointer_log.Unsent), where nothing is ever deleted; an entry
may be there several times. If one entry does not follow from the one before, a `Gap` is reported.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError, model_validator

from conf.base import Strict
from conf.connections import KafkaConnection
from publish.connect.redis_clients import StoreClient
from publish.connect.store_scripts import as_bytes, store_faults
from publish.connect.topic_reader import read_topic
from publish.runs.pointer import Pointer
from publish.wire.keys import ProductKeys

if TYPE_CHECKING:
    import pyarrow as pa

BEGINS = "history begins"
"""The reason in the first entry of a product whose pointer is older than its history (lua/history.lua)."""
KEPT_IN_REDIS = 1_000
"""Entries kept in Redis, besides those that Kafka may not have yet (lua/history.lua)."""


class HistoryEntry(Strict):
    """One change of the pointer."""

    pointer: Pointer
    """The pointer after the change; revision 0: Redis had lost it, and nothing was served."""
    reason: str
    who: str | None
    """Who changed it; None if unknown."""

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if self.pointer.since is None:
            raise ValueError("an entry of the history needs `since`")
        return self

    @property
    def rev(self) -> int:
        """The pointer's revision."""
        return self.pointer.rev

    @property
    def since(self) -> datetime:
        """Time of the change, by Redis' clock."""
        assert self.pointer.since is not None  # checked above
        return self.pointer.since


@dataclass(frozen=True)
class Gap:
    """A period that the history does not cover: what is missing, and the time before which (None: unknown)."""

    before: datetime | None
    what: str


@dataclass(frozen=True)
class History:
    """Entries, oldest first, and the gaps between them."""

    entries: tuple[HistoryEntry, ...]
    gaps: tuple[Gap, ...]

    @classmethod
    def of(cls, found: Iterable[HistoryEntry], gaps: Iterable[Gap] = ()) -> Self:
        """Returns the history made of entries in any order, possibly repeated; the first of equal ones counts."""
        unique: dict[tuple[int, datetime], HistoryEntry] = {}
        for entry in found:
            unique.setdefault((entry.rev, entry.since), entry)
        entries = tuple(sorted(unique.values(), key=lambda entry: (entry.since, entry.rev)))
        return cls(entries, (*gaps, *_gaps(entries)))

    @property
    def highest(self) -> int:
        """The highest revision so far; 0 if there is none."""
        return max((entry.rev for entry in self.entries), default=0)

    def knows(self, pointer: Pointer) -> bool:
        """Returns whether the pointer is in one of the entries."""
        return any((entry.rev, entry.since) == (pointer.rev, pointer.since) for entry in self.entries)

    def since(self, moment: datetime) -> "History":
        """Returns the entries in force at `moment` or later, with the gaps between them."""
        old = sum(entry.since <= moment for entry in self.entries)
        return self._without(max(0, old - 1))

    def newest(self, number: int) -> "History":
        """Returns the newest `number` entries, with the gaps between them."""
        return self._without(max(0, len(self.entries) - number))

    def rows(self) -> list[dict[str, Any]]:
        """Returns the entries as rows of conf.contract.pointer_history, with times in UTC."""
        sinces = [entry.since.astimezone(UTC) for entry in self.entries]
        return [_row(*row) for row in zip(self.entries, sinces, [*sinces[1:], None], strict=False)]

    def table(self) -> "pa.Table":
        """Returns the entries as conf.contract.pointer_history."""
        import pyarrow as pa  # here, because only who writes a file waits for it

        from conf.contract import pointer_history

        return pa.Table.from_pylist(self.rows(), schema=pointer_history())

    def _without(self, oldest: int) -> "History":
        kept = self.entries[oldest:]
        begin = kept[0].since if oldest else None
        gaps = (gap for gap in self.gaps if gap.before is None or begin is None or gap.before > begin)
        return History(kept, tuple(gaps))


def read_history(client: StoreClient, product: str, kafka: KafkaConnection | None) -> History:
    """Returns the history from Redis and Kafka; without `kafka` only the newest entries, from Redis.

    Raises StoreUnreachable and BrokerUnreachable.
    """
    keys = ProductKeys(product)
    with store_faults():
        # Redis first: entries that are sent and removed meanwhile are then found in Kafka.
        stored = {key: client.lrange(key, 0, -1) for key in (keys.history, keys.unsent)}
    kept = History((), ()) if kafka is None else kept_history(kafka, keys)
    entries, gaps = list(kept.entries), [gap for gap in kept.gaps if gap.before is None]
    for key, values in stored.items():
        for place, value in enumerate(values):
            _parse(as_bytes(value), f"{key}: item {place}", entries, gaps)
    return History.of(entries, gaps)


def kept_history(kafka: KafkaConnection, keys: ProductKeys) -> History:
    """Returns the history that Kafka has; raises BrokerUnreachable."""
    entries: list[HistoryEntry] = []
    gaps: list[Gap] = []
    for record in read_topic(kafka, keys.history_topic):
        _parse(record.value, f"{keys.history_topic}: the record at offset {record.offset}", entries, gaps)
    return History.of(entries, gaps)


def _parse(value: bytes | None, where: str, entries: list[HistoryEntry], gaps: list[Gap]) -> None:
    try:
        entries.append(HistoryEntry.model_validate_json(value if value is not None else b""))
    except ValidationError:
        # One unreadable record must not hide all others, and cannot be removed from the topic.
        gaps.append(Gap(None, f"{where} cannot be read by this version"))


def _gaps(entries: Sequence[HistoryEntry]) -> Iterator[Gap]:
    if entries and entries[0].rev > 1 and entries[0].reason != BEGINS:
        yield Gap(entries[0].since, f"{_revisions(1, entries[0].rev - 1)} missing: the history begins with a later one")
    highest = 0
    for before, entry in pairwise(entries):
        highest = max(highest, before.rev)
        if entry.rev in (0, before.rev + 1, highest + 1):
            continue
        yield Gap(entry.since, _what_is_missing(before, entry, highest))


def _what_is_missing(before: HistoryEntry, entry: HistoryEntry, highest: int) -> str:
    if entry.rev > highest:
        return f"{_revisions(highest + 1, entry.rev - 1)} missing"
    if entry.rev == 1:
        return f"Redis lost everything after revision {before.rev}; since when nothing was served is not known"
    return (
        f"revision {entry.rev} was issued a second time: Redis had gone back behind revision {before.rev}, in a "
        "fail-over or by losing its last second; since when the one before was served again is not known"
    )


def _revisions(first: int, last: int) -> str:
    return f"revision {first} is" if first == last else f"revisions {first} to {last} are"


def _row(entry: HistoryEntry, since: datetime, until: datetime | None) -> dict[str, Any]:
    pointer, written = entry.pointer, entry.pointer.model_dump()
    return {
        "revision": pointer.rev,
        "since": since,
        "until": until,
        **{name: written[name] for name in ("treatment", "control", "salt", "share_bp", "cap_bp")},
        "hold": None if pointer.hold is None else pointer.hold.reason,
        "reason": entry.reason,
        "who": entry.who,
    }
