"""Lands the topic of exposures: a batch is decided and written down, then made, then marked as done.

Exactly once rests on three things: a batch's offsets are written down before anything of it is read; its files are
named after them and made anew, the same, by whoever goes on after a kill; and one file, the state, says at once that
the batch is done, where the next one begins, and what is known of the writers. Offsets that a consumer group committed
are neither asked for nor written.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf import contract
from conf.connections import KafkaConnection
from conf.ids import UserId
from conf.settings import Settings
from conf.windows import midnight
from jobs.exposures.records import UNUSABLE_SCHEMA, Sorted, Sorter, days_in
from jobs.exposures.scrub import scrub
from jobs.exposures.state import Cell, Loss, Plan, Range, State, Totals, WriterState
from jobs.exposures.store import UNUSABLE, LandingStore, file_name, has_arrived
from jobs.storage.dataset_names import folder_of
from jobs.storage.erased import Erased
from publish.clock import Clock, utc_now
from publish.connect.topic_identity import TopicIdentity, TopicInspector
from publish.connect.watermarks import Watermarks, unread
from publish.exposures.topic import ExposureTopic
from publish.exposures.writers import add_numbers
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)
BATCH_RECORDS = 50_000
"""Records of one partition in a batch; they are in memory at once, about 2 kB each."""
_KEPT_LOSSES = 100


@dataclass(frozen=True)
class Landed:
    """The result of a landing: what is known now, and what this landing found."""

    state: State
    batches: int
    found: Totals
    losses: tuple[Loss, ...]
    lag: int
    """Records that came meanwhile."""
    resumed: bool
    """Whether a batch that was cut off was finished first."""


class Landing:
    """Lands the exposures of one product; a landing that is cut off anywhere is finished by the next one."""

    def __init__(
        self,
        store: LandingStore,
        kafka: KafkaConnection,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        self._store, self._kafka, self._settings = store, kafka, settings
        self._clock, self._batch_records = clock, batch_records
        self._topic = ExposureTopic(kafka, ProductKeys(settings.product).exposures_topic)

    def land(self) -> Landed:
        """Lands everything that is in the topic now. Raises Damaged, LandingUnderWay, BrokerUnreachable."""
        with self._store.locked(), self._topic:
            begun, first, identity = self._clock(), self._begin(), self._identify()
            erased = self._erased()
            state = self._without(first, erased)
            bounds = self._topic.bounds(identity.partitions)
            plan = self._unfinished(state)
            if resumed := plan is not None and plan.topic_id == identity.id:
                state, erased = self._make(plan, state, erased, again=True)
                plan = None
            while plan := self._decide(state, identity, bounds, abandoned=plan):
                self._store.write_plan(plan)
                state, erased = self._make(plan, state, erased)
                plan = None
            state = self._purge(state, erased)
            self._tidy(begun)
            lag = unread(self._topic.bounds(identity.partitions), state.positions)
        return _landed(first, state, lag, resumed=resumed)

    def _begin(self) -> State:
        state = self._store.state()
        if not state.batch:
            self._store.write_state(state)  # so that files without a state are those of a state that was lost
        return state

    def _unfinished(self, state: State) -> Plan | None:
        """Returns a batch that was decided and not finished."""
        plan = self._store.plan()
        return plan if plan is not None and plan.batch > state.batch else None

    def _identify(self) -> TopicIdentity:
        return TopicInspector(self._kafka, self._topic.name).identify()

    def _erased(self) -> Erased:
        return Erased.read(self._kafka, self._settings.product, self._settings.ids)

    def _without(self, state: State, erased: Erased) -> State:
        """Returns the state after the forgotten users were deleted from every file, if there is a new one."""
        if erased.users and erased.fact["sha256"] != state.without:
            scrub(self._store, erased.users)
            if state.batch:
                state = state.model_copy(update={"without": erased.fact["sha256"]})
                self._store.write_state(state)
        return state

    def _decide(
        self, state: State, identity: TopicIdentity, bounds: Mapping[int, Watermarks], *, abandoned: Plan | None
    ) -> Plan | None:
        """Returns the next batch; None if everything up to `bounds` is landed and nothing new is to be told.

        abandoned: a batch that cannot be finished, because its topic is gone.
        """
        now = self._clock()
        losses = []
        is_new = state.topic_id not in (None, identity.id) or abandoned is not None
        positions: Mapping[int, int] = {} if is_new else state.positions
        if abandoned is not None:
            self._store.delete_attempt(abandoned, ())
        if is_new:
            losses.append(Loss(kind="recreated", partition=None, answers=None, at=now))
        ranges = []
        for partition, (low, high) in bounds.items():
            start = positions.get(partition, 0)
            if start > high:
                losses.append(Loss(kind="rewound", partition=partition, answers=None, at=now))
                start = high
            elif low > start:
                losses.append(Loss(kind="retention", partition=partition, answers=low - start, at=now))
                start = low
            ranges.append(
                Range(partition=partition, start=start, end=max(start, min(high, start + self._batch_records)))
            )
        if not losses and all(piece.start == piece.end for piece in ranges):
            return None
        return Plan(
            batch=state.batch + 1, topic_id=identity.id, ranges=tuple(ranges), losses=tuple(losses), decided_at=now
        )

    def _make(self, plan: Plan, state: State, erased: Erased, *, again: bool = False) -> tuple[State, Erased]:
        """Makes a batch's files, then its marker. Returns the state after it and the forgotten users it is without."""
        batch = _Batch(plan, state, self._settings, erased.users, self._store)
        for piece in plan.ranges:
            if piece.end > piece.start:
                self._store.keep_lock()
                sorted_out = batch.sorter.sort(
                    piece.partition, piece.start, piece.end, self._topic.read(piece.partition, piece.start, piece.end)
                )
                low = self._topic.bounds(piece.partition + 1)[piece.partition].low if sorted_out.jumps else 0
                batch.add(piece, sorted_out, low)
        if again:
            self._store.delete_attempt(plan, batch.written)
        now = self._erased()
        if now.users - erased.users:  # forgotten meanwhile, when the files were not there to be found
            scrub(self._store, now.users)
        after = batch.state(self._clock(), "" if not now.users else now.fact["sha256"])
        self._store.write_state(after)
        return after, now

    def _purge(self, state: State, erased: Erased) -> State:
        """Deletes from the topic what was landed, as `exposures.purge` says."""
        wanted, users = self._settings.exposures.purge, erased.fact["sha256"]
        is_due = wanted == "landed" or (wanted == "forgotten" and bool(erased.users) and state.purged != users)
        if not is_due or not state.positions:
            return state
        self._topic.delete_before(dict(state.positions))
        state = state.model_copy(update={"purged": users})
        self._store.write_state(state)
        return state

    def _tidy(self, begun: dt.datetime) -> None:
        """Deletes days that are no longer kept, and marks those that were over when the landing began."""
        oldest = begun.astimezone(dt.UTC).date() - dt.timedelta(days=self._settings.exposures.keep_days)
        for below in ("", f"{UNUSABLE}/"):
            for day in self._store.days(below.rstrip("/")):
                if day < oldest:
                    self._store.at.delete(f"{below}{folder_of(day)}")
        for day in self._store.days():
            if has_arrived(day, begun):
                self._store.mark(day)


class _Batch:
    """What the ranges of one batch add to the state."""

    def __init__(
        self, plan: Plan, state: State, settings: Settings, erased: frozenset[UserId], store: LandingStore
    ) -> None:
        self._plan, self._before, self._settings, self._store = plan, state, settings, store
        self.sorter = Sorter(settings.product, settings.ids, erased, plan.decided_at)
        self.written: set[str] = set()
        self._writers = dict(state.writers)
        self._cells: Counter[tuple[dt.date, str, str | None, str, str]] = Counter()
        self._found = Totals()
        self._losses = list(plan.losses)

    def add(self, piece: Range, found: Sorted, low: int) -> None:
        """Writes the files of a range and counts it; `low`: the first offset that the topic still has."""
        answers, duplicates = self._without_duplicates(found)
        for day, rows in days_in(answers, "ts"):
            self._write(f"{folder_of(day)}/{file_name(self._plan.topic_id, piece)}", rows)
            self._count(day, rows)
        unusable = pa.Table.from_batches(found.unusable, UNUSABLE_SCHEMA)
        for day, rows in days_in(unusable, "at"):
            self._write(f"{UNUSABLE}/{folder_of(day)}/{file_name(self._plan.topic_id, piece)}", rows)
        lost = sum(max(0, min(end, low) - start) for start, end in found.jumps)
        if lost:
            self._losses.append(
                Loss(kind="retention", partition=piece.partition, answers=lost, at=self._plan.decided_at)
            )
        self._found = self._found.plus(
            Totals(
                landed=answers.num_rows,
                duplicates=duplicates,
                erased=sum(map(len, found.erased.values())) + found.erased_unusable,
                unusable=unusable.num_rows,
            )
        )
        for told in found.told:
            self._hear(told.writer, told.ts)
            known = self._writers[told.writer]
            if told.logged >= (known.logged or 0):
                self._writers[told.writer] = known.model_copy(
                    update={
                        "logged": told.logged,
                        "dropped": dict(told.dropped),
                        "queue": told.queue,
                        "closed": known.closed or told.closed,
                    }
                )

    def state(self, now: dt.datetime, without: str) -> State:
        """Returns everything that is known after the batch."""
        before, plan = self._before, self._plan
        oldest = plan.decided_at.date() - dt.timedelta(days=self._settings.exposures.keep_days)
        for cell in before.cells:
            self._cells[(cell.day, cell.surface, cell.run, cell.kind, cell.arm)] += cell.answers
        kept, gone = _split_writers(self._writers, oldest)
        found = self._found.plus(
            Totals(former_writers=len(gone), former_missing=sum(writer.missing for writer in gone))
        )
        return State(
            batch=plan.batch,
            topic_id=plan.topic_id,
            positions={piece.partition: piece.end for piece in plan.ranges},
            landed_at=now,
            totals=before.totals.plus(found),
            last=found,
            cells=tuple(
                Cell(day=day, surface=surface, run=run, kind=kind, arm=arm, answers=answers)
                for (day, surface, run, kind, arm), answers in sorted(self._cells.items(), key=repr)
                if day >= oldest
            ),
            writers=kept,
            losses=(*before.losses, *self._losses)[-_KEPT_LOSSES:],
            without=without,
            purged=before.purged,
        )

    def _write(self, path: str, rows: pa.Table) -> None:
        self._store.write_table(path, rows)
        self.written.add(path)

    def _count(self, day: dt.date, rows: pa.Table) -> None:
        names = ["surface", "run", "kind", "arm"]
        for row in rows.group_by(names).aggregate([([], "count_all")]).to_pylist():
            self._cells[(day, row["surface"], row["run"], row["kind"], row["arm"])] += row["count_all"]

    def _without_duplicates(self, found: Sorted) -> tuple[pa.Table, int]:
        """Returns the answers whose writer and number come for the first time, and how many others there were."""
        table = pa.Table.from_batches(found.answers, contract.exposures(self._settings.ids))
        for writer, pairs in found.erased.items():  # they are left out, and not missing
            self._see(writer, [seq for seq, _ in pairs], max(ts for _, ts in pairs))
        names = np.asarray(table["writer"].to_pylist(), dtype=object)
        numbers = table["seq"].to_numpy()
        times = table["ts"].cast(pa.int64()).to_numpy() // 1_000
        is_new = np.zeros(table.num_rows, dtype=bool)
        for writer in sorted(set(names.tolist())):
            theirs = np.flatnonzero(names == writer)
            is_new[theirs] = self._see(writer, numbers[theirs].tolist(), int(times[theirs].max()))
        kept = table if is_new.all() else table.filter(pa.array(is_new))
        return kept, table.num_rows - kept.num_rows

    def _see(self, writer: str, numbers: Sequence[int], ts: int) -> NDArray[np.bool_]:
        self._hear(writer, ts)
        known = self._writers[writer]
        seen, is_new = add_numbers(known.seen, numbers)
        self._writers[writer] = known.model_copy(update={"seen": seen})
        return is_new

    def _hear(self, writer: str, ts: int) -> None:
        known = self._writers.get(writer) or WriterState(last_ts=ts)
        self._writers[writer] = known.model_copy(update={"last_ts": max(known.last_ts, ts)})


def _split_writers(
    writers: Mapping[str, WriterState], oldest: dt.date
) -> tuple[dict[str, WriterState], list[WriterState]]:
    """Returns the writers to keep, and those that were silent since before the oldest day that is kept."""
    limit = midnight(oldest).timestamp() * 1000
    kept = {name: writer for name, writer in sorted(writers.items()) if writer.last_ts >= limit}
    return kept, [writer for name, writer in writers.items() if name not in kept]


def _landed(first: State, state: State, lag: int, *, resumed: bool) -> Landed:
    before, after = first.totals.model_dump(), state.totals.model_dump()
    found = Totals(**{name: after[name] - before[name] for name in after})
    known = set(map(repr, first.losses))
    losses = tuple(loss for loss in state.losses if repr(loss) not in known)
    return Landed(state, state.batch - first.batch, found, losses, lag, resumed)
