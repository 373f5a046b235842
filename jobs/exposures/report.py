"""What a landing did and what is known of the answers by now: in words, and as data that is kept beside the files."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conf.connections import KafkaConnection
from conf.text_table import table
from jobs.exposures.landing import Landed
from jobs.exposures.state import Loss, State, WriterState
from jobs.exposures.store import UNUSABLE, LandingStore
from publish.connect.topic_reader import latest, read_topic
from publish.wire.keys import ProductKeys

LOST = 4
"""Exit code of a landing after which records are not in the files: they were gone, or cannot be read."""
SILENT = dt.timedelta(minutes=10)
"""Time without a sign of life, which writers give once a minute, after which one counts as killed."""
_SHOWN_DAYS = 7
_SHOWN_WRITERS = 5
_KINDS = ("list", "fallback", "control", "none")


def known_runs(kafka: KafkaConnection, product: str) -> frozenset[str]:
    """Returns every run that was ever announced; raises BrokerUnreachable."""
    records = latest(read_topic(kafka, ProductKeys(product).runs_topic))
    return frozenset(key.decode(errors="replace") for key in records)


@dataclass(frozen=True)
class Report:
    """The state after a landing; `landed` None: nothing was landed, only looked at."""

    store: LandingStore
    state: State
    lag: int
    known: Collection[str]
    """Every run that was announced."""
    landed: Landed | None = None

    @property
    def exit_code(self) -> int:
        """0, or LOST if this landing found that records are not in the files."""
        landed = self.landed
        return LOST if landed is not None and (landed.losses or landed.found.unusable) else 0

    @property
    def silent(self) -> Mapping[str, WriterState]:
        """Writers that stopped without a word."""
        at = self.state.landed_at
        limit = 0.0 if at is None else (at - SILENT).timestamp() * 1000
        return {name: one for name, one in self.state.writers.items() if not one.closed and one.last_ts < limit}

    @property
    def missing(self) -> Mapping[str, int]:
        """Answers by writer that were logged and never came: dropped, or on their way."""
        found = {name: writer.missing for name, writer in self.state.writers.items()}
        return {name: number for name, number in found.items() if number}

    @property
    def unknown(self) -> Mapping[str, int]:
        """Landed answers of runs that nobody announced."""
        found: Counter[str] = Counter()
        for cell in self.state.cells:
            if cell.run is not None and cell.run not in self.known:
                found[cell.run] += cell.answers
        return dict(sorted(found.items()))

    def data(self) -> dict[str, Any]:
        """Returns the report as JSON."""
        state, silent = self.state, self.silent
        return {
            "folder": self.store.at.uri,
            "landed_at": None if state.landed_at is None else state.landed_at.isoformat(),
            "batch": state.batch,
            "topic_id": state.topic_id,
            "positions": {str(partition): offset for partition, offset in state.positions.items()},
            "lag": self.lag,
            "now": None if self.landed is None else _now(self.landed),
            "totals": state.totals.model_dump(),
            "answers": [cell.model_dump(mode="json") for cell in state.cells],
            "missing": sum(self.missing.values()) + state.totals.former_missing,
            "missing_by_writer": dict(self.missing),
            "writers": {
                "at_work": sum(not one.closed for one in state.writers.values()) - len(silent),
                "closed": sum(one.closed for one in state.writers.values()),
                "silent": {
                    name: {"since": _time(one.last_ts), "missing": one.missing, "uncounted_at_most": one.queue}
                    for name, one in silent.items()
                },
                "dropped": dict(sum((Counter(one.dropped) for one in state.writers.values()), Counter[str]())),
            },
            "unknown_runs": dict(self.unknown),
            "losses": [loss.model_dump(mode="json") for loss in state.losses],
        }

    def text(self) -> str:
        """Returns the report for a person."""
        lines = [*self._landing(), *self._writers()]
        if self.unknown:
            runs = ", ".join(f"{run} ({number:,})" for run, number in self.unknown.items())
            lines.append(f"unknown    runs that nobody announced, landed all the same: {runs}")
        lines += [f"LOST       {_loss(loss)}" for loss in (self.landed.losses if self.landed else self.state.losses)]
        if rows := self._rows():
            lines.append(table(rows, ("day", "surface", "run", *_KINDS), indent=2))
        return "\n".join(lines)

    def _landing(self) -> list[str]:
        state, landed = self.state, self.landed
        totals, found = state.totals, state.totals if landed is None else landed.found
        at = "never" if state.landed_at is None else f"{state.landed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z"
        if landed is None:
            head = f"landed     {totals.landed:,} answers so far, last {at}; {self.lag:,} records wait in the topic"
        else:
            more = ", one of them cut off before" if landed.resumed else ""
            head = (
                f"landed     {found.landed:,} answers in {landed.batches} batches{more} ({totals.landed:,} so far); "
                f"{self.lag:,} records came meanwhile"
            )
        lines = [head, f"left out   {found.duplicates:,} duplicates, {found.erased:,} of forgotten users"]
        if found.unusable:
            lines.append(f"SET ASIDE  {found.unusable:,} that cannot be read, with place and reason: {UNUSABLE}/")
        return [*lines, f"files      {self.store.at.uri}"]

    def _writers(self) -> list[str]:
        writers, silent, missing = self.state.writers, self.silent, self.missing
        closed = sum(one.closed for one in writers.values())
        lines = [f"writers    {len(writers) - closed - len(silent)} at work, {closed} closed, {len(silent)} silent"]
        for name, one in list(silent.items())[:_SHOWN_WRITERS]:
            queue = "its queue" if one.queue is None else f"{one.queue:,}"
            since = _time(one.last_ts)
            lines.append(f"silent     {name} since {since}: killed? at most {queue} of its answers are uncounted")
        number = sum(missing.values()) + self.state.totals.former_missing
        by_writer = ", ".join(f"{name} {count:,}" for name, count in list(missing.items())[:_SHOWN_WRITERS])
        whose = f": {by_writer}" if by_writer else ""
        return [*lines, f"missing    {number:,} answers were dropped or are on their way{whose}"]

    def _rows(self) -> list[Sequence[str]]:
        found: dict[tuple[dt.date, str, str], Counter[str]] = {}
        for cell in self.state.cells:
            found.setdefault((cell.day, cell.surface, cell.run or "–"), Counter())[cell.kind] += cell.answers
        days = sorted({day for day, _, _ in found})[-_SHOWN_DAYS:]
        return [
            (str(day), surface, run, *(f"{counts[kind]:,}" for kind in _KINDS))
            for (day, surface, run), counts in sorted(found.items())
            if day in days
        ]


def _now(landed: Landed) -> dict[str, Any]:
    return {
        "batches": landed.batches,
        "resumed": landed.resumed,
        **landed.found.model_dump(),
        "losses": [loss.model_dump(mode="json") for loss in landed.losses],
    }


def _time(milliseconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def _loss(loss: Loss) -> str:
    where = "" if loss.partition is None else f"partition {loss.partition}: "
    match loss.kind:
        case "retention":
            return (
                f"{where}{loss.answers:,} records were deleted from the topic before they were landed (by retention or "
                "by hand); land more often than exposures.retention_hours"
            )
        case "recreated":
            return (
                "the topic was deleted and made anew; what came after the last landing went with it, and only the "
                "writers' numbers tell how much (missing)"
            )
        case "rewound":
            return (
                f"{where}the broker lost its newest records, some of which are landed already; what came since is "
                "landed, and records that were sent a second time are left out as duplicates"
            )
