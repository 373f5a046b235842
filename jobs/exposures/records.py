"""Records of one range of offsets, sorted out: answers to land, records that cannot be read, numbers of the writers."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from conf import contract
from conf.ids import IdKind, UserId
from publish.errors import MalformedMessage
from publish.exposures.message import Exposed, WriterCounts, decode_record
from publish.exposures.topic import RawRecord

OLDEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""No answer is older: there was no service yet."""
AHEAD = dt.timedelta(days=1)
"""How far the clock of a service may be ahead of that of the landing."""
_UNUSABLE: list[tuple[str, pa.DataType]] = [
    ("partition", pa.int32()),
    ("offset", pa.int64()),
    ("at", pa.timestamp("ms", tz="UTC")),  # by the broker
    ("reason", pa.string()),
    ("key", pa.binary()),
    ("value", pa.binary()),
]
UNUSABLE_SCHEMA = pa.schema(_UNUSABLE)


@dataclass
class Sorted:
    """What the records of a range turned out to be."""

    answers: list[pa.RecordBatch] = field(default_factory=list)
    unusable: list[pa.RecordBatch] = field(default_factory=list)
    erased: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Writer → number and time of answers to forgotten users."""
    erased_unusable: int = 0
    told: list[WriterCounts] = field(default_factory=list)
    """What writers said of themselves."""
    jumps: list[tuple[int, int]] = field(default_factory=list)
    """Offsets that were not there: from, up to."""


@dataclass(frozen=True)
class Sorter:
    """Sorts the records of one product; `decided_at`: the clock of the batch."""

    product: str
    ids: IdKind
    erased: Collection[UserId]
    decided_at: dt.datetime

    def sort(self, partition: int, start: int, end: int, chunks: Iterable[Sequence[RawRecord]]) -> Sorted:
        """Returns the records of the offsets from `start` up to `end`, sorted out."""
        found, at = Sorted(), start
        keys = {str(user).encode() for user in self.erased}
        latest = _milliseconds(self.decided_at + AHEAD)
        for chunk in chunks:
            answers: list[tuple[int, Exposed]] = []
            unusable: list[tuple[RawRecord, str]] = []
            for record in chunk:
                if record.offset > at:
                    found.jumps.append((at, record.offset))
                at = record.offset + 1
                try:
                    what = decode_record(record.key, record.value, self.ids, self.product)
                    _check_time(what.ts, latest)
                except MalformedMessage as fault:
                    if record.key in keys:
                        found.erased_unusable += 1
                    else:
                        unusable.append((record, fault.reason))
                    continue
                if isinstance(what, WriterCounts):
                    found.told.append(what)
                elif what.user_id in self.erased:
                    found.erased.setdefault(what.writer, []).append((what.seq, what.ts))
                else:
                    answers.append((record.offset, what))
            if answers:
                found.answers.append(_answers(answers, partition, self.ids))
            if unusable:
                found.unusable.append(_unusable(unusable, partition))
        if at < end:
            found.jumps.append((at, end))
        return found


def days_in(table: pa.Table, column: str) -> list[tuple[dt.date, pa.Table]]:
    """Returns the rows of each UTC day of a column of times, in their order."""
    days = table[column].cast(pa.timestamp("us")).cast(pa.date32(), safe=False)  # without a zone: they are UTC
    found = sorted({day for day in days.to_pylist() if day is not None})
    return [(day, table.filter(pc.equal(days, pa.scalar(day)))) for day in found]


def _check_time(ts: int, latest: int) -> None:
    if ts > latest:
        raise MalformedMessage("ts is in the future")
    if ts < _milliseconds(OLDEST):
        raise MalformedMessage(f"ts is before {OLDEST:%Y}")


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _answers(rows: Sequence[tuple[int, Exposed]], partition: int, ids: IdKind) -> pa.RecordBatch:
    schema = contract.exposures(ids)
    columns = dict(zip(Exposed._fields, zip(*(answer for _, answer in rows), strict=True), strict=True))
    arrays = {
        **{name: pa.array(list(columns[name]), schema.field(name).type) for name in columns if name != "ts"},
        "ts": pa.array(columns["ts"], pa.timestamp("ms", tz="UTC")).cast(schema.field("ts").type),
        "partition": pa.array([partition] * len(rows), pa.int32()),
        "offset": pa.array([offset for offset, _ in rows], pa.int64()),
    }
    return pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _unusable(rows: Sequence[tuple[RawRecord, str]], partition: int) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {
        "partition": [partition] * len(rows),
        "offset": [record.offset for record, _ in rows],
        "at": [max(0, record.at) for record, _ in rows],
        "reason": [reason for _, reason in rows],
        "key": [record.key for record, _ in rows],
        "value": [record.value for record, _ in rows],
    }
    arrays = [pa.array(columns[name], UNUSABLE_SCHEMA.field(name).type) for name in UNUSABLE_SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=UNUSABLE_SCHEMA)
