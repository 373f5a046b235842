"""One partition of the topic on its way into Redis: what each record is, and what becomes of it.

Loaded: data of an announced run that began here. Skipped: records of a run that is over. Dead-lettered: what nobody
announced and what cannot be read. In each case the position in Redis moves in the same call, or after the dead letter
was acknowledged. Nothing here retries: whatever fails is raised, and loading starts again from Redis' position.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import Message

from publish.arrivals import Arrival, envelope_of, genuine_mark, read_arrival, record_of, sort_of
from publish.dead_letters import DeadLetter, DeadLetterQueue
from publish.errors import MalformedMessage, PublishError, UnknownMessage
from publish.keys import Layout
from publish.loader_metrics import LoaderMetrics
from publish.messages import Codec, End, Kind
from publish.redis_store import MAX_BATCH, Position, RedisStore, Reply, Status, Step
from publish.registry import Run
from publish.run_book import RunBook
from publish.run_desk import RunDesk

_LOG = logging.getLogger(__name__)


class PositionMoved(PublishError):
    """Redis has another position than this loader; it never leaves the loader, which starts again from there."""


@dataclass(frozen=True)
class Tools:
    """What the partitions of one loader share."""

    store: RedisStore
    book: RunBook
    desk: RunDesk
    dead_letters: DeadLetterQueue
    metrics: LoaderMetrics
    pause: Callable[[], None]


class PartitionLoader:
    """Loads one partition from a position on; `layout` has the topic's partitions."""

    def __init__(self, tools: Tools, layout: Layout, partition: int, topic_id: str, believed: Position | None) -> None:
        self.partition = partition
        self._tools = tools
        self._layout = layout
        self._topic_id = topic_id
        self._believed = believed

    @property
    def next_offset(self) -> int | None:
        """The offset that Redis stands at, in this topic; None before its first record."""
        known = self._believed is not None and self._believed.topic_id == self._topic_id
        return self._believed.offset if known and self._believed is not None else None

    def load(self, messages: Sequence[Message]) -> None:
        """Deal with consecutive records; raises PositionMoved, UnknownMessage, StoreUnreachable, DeliveryError."""
        offset, stands = messages[0].offset(), self.next_offset
        if offset is not None and stands is not None and offset < stands:
            raise PositionMoved(f"partition {self.partition}: offset {offset} came after {stands}")
        for (sort, epoch), group in groupby(map(self._read, messages), key=sort_of):
            arrivals = list(group)
            if sort is None:
                self._unreadable(arrivals)
            elif sort is Kind.DATA:
                self._data(epoch, arrivals)
            else:
                for arrival in arrivals:
                    self._mark(arrival)

    def _read(self, message: Message) -> Arrival:
        return read_arrival(message, self.partition, self._layout.partitions)

    def _unreadable(self, arrivals: list[Arrival]) -> None:
        """Bury them; those that may be of the run in progress count against it."""
        poison = 0
        for arrival in arrivals:
            run = None if arrival.epoch is None else self._tools.book.find(arrival.epoch)
            ours = run is not None and not run.state.is_over
            if arrival.too_new and ours:
                raise UnknownMessage(f"{arrival.fault}: this loader is older than the publisher; upgrade it")
            poison += ours or arrival.epoch is None
        self._bury([DeadLetter(arrival.message, arrival.fault) for arrival in arrivals], poison=poison)

    def _data(self, epoch: int, arrivals: list[Arrival]) -> None:
        run = self._tools.book.find(epoch)
        if run is None:
            self._bury(_letters(arrivals, f"nobody announced a run of epoch {epoch}"))
        elif run.state.is_over:
            self._skip(arrivals)
        else:
            for start in range(0, len(arrivals), MAX_BATCH):
                self._batch(run, arrivals[start : start + MAX_BATCH])

    def _batch(self, run: Run, arrivals: list[Arrival]) -> None:
        records = [record_of(run, arrival) for arrival in arrivals]
        reply = self._tools.store.load(run.announcement, self._step(arrivals), records)
        if reply.status is Status.NO_BEGIN:
            self._before_begin(run, arrivals)
            return
        self._moved(reply, arrivals)
        if reply.status is Status.CONFLICT:
            self._tools.desk.fail(run.name, f"partition {self.partition}: {reply.detail}")
        elif reply.status is Status.LOADED:
            self._tools.metrics.loaded.inc(len(records))
        else:
            self._tools.metrics.fenced.inc(len(records))

    def _before_begin(self, run: Run, arrivals: list[Arrival]) -> None:
        """Data of a run that never began here: of a stray producer, unless the run was cleared meanwhile."""
        now = self._tools.book.find_fresh(run.announcement.epoch)
        if now is None or now.state.is_over:
            self._skip(arrivals)
        else:
            self._bury(_letters(arrivals, f"data of run {run.name} before its BEGIN"), poison=len(arrivals))

    def _mark(self, arrival: Arrival) -> None:
        """BEGIN or END: bury a forged one, skip one of a run that is over."""
        envelope = envelope_of(arrival)
        run = self._tools.book.find_fresh(envelope.epoch)
        if run is None:
            self._bury(_letters([arrival], f"nobody announced a run of epoch {envelope.epoch}"))
            return
        try:
            mark = genuine_mark(envelope, run, self.partition)
        except MalformedMessage as forged:
            self._bury([DeadLetter(arrival.message, forged.reason)])
            return
        if run.state.is_over:
            self._skip([arrival])
        elif isinstance(mark, End):
            self._end(run, arrival, mark)
        else:
            self._begin(run, arrival)

    def _begin(self, run: Run, arrival: Arrival) -> None:
        if run.announcement.codec != Codec.LIST:
            raise UnknownMessage(f"run {run.name} has codec {run.announcement.codec}: upgrade this loader")
        if not self._tools.desk.admit(run, self._layout.partitions):
            self._skip([arrival])
            return
        reply = self._tools.store.begin(run.announcement, self._step([arrival]))
        self._moved(reply, [arrival])
        self._tools.desk.check_still_wanted(run.name)
        if reply.status is Status.BEGUN:
            count = run.announcement.slices[self.partition].count
            _LOG.info("run %s partition %d: BEGIN, %d lists", run.name, self.partition, count)

    def _end(self, run: Run, arrival: Arrival, end: End) -> None:
        status = self._tools.store.progress(run.announcement)[self.partition]
        if status.state is None:
            self._bury([DeadLetter(arrival.message, f"END of run {run.name} before its BEGIN")], poison=1)
            return
        if status.state == Status.LOADING:
            fault = self._tools.desk.fault_at_end(run, self.partition, end, self._tools.pause)
        else:
            fault = status.reason if status.state != Status.VERIFIED else None
        if fault is not None:
            self._tools.desk.fail(run.name, fault)
        if fault is not None or status.state != Status.LOADING:
            self._skip([arrival])
            return
        self._moved(self._tools.store.mark_verified(run.announcement, self._step([arrival])), [arrival])
        _LOG.info("run %s partition %d: VERIFIED, %d lists", run.name, self.partition, status.loaded)
        self._tools.desk.settle(run.name)

    def _bury(self, letters: Sequence[DeadLetter], *, poison: int = 0) -> None:
        for start in range(0, len(letters), MAX_BATCH):
            some = letters[start : start + MAX_BATCH]
            self._tools.dead_letters.bury(some)
            share = min(poison, len(some))  # all of a group's letters count, or which ones do not matters to nobody
            step = self._step(some)
            self._moved(self._tools.store.skip(self._layout, step, poison=share, dead=len(some)), some)
            self._tools.metrics.dead_letters.inc(len(some))
            poison -= share
        _LOG.warning("partition %d: %d dead letters: %s", self.partition, len(letters), letters[0].reason)

    def _skip(self, arrivals: Sequence[Arrival]) -> None:
        self._moved(self._tools.store.skip(self._layout, self._step(arrivals)), arrivals)
        self._tools.metrics.fenced.inc(len(arrivals))

    def _step(self, those: Sequence[Arrival | DeadLetter]) -> Step:
        """The move past these records."""
        last = those[-1].message.offset()
        if last is None:
            raise PositionMoved(f"partition {self.partition}: a record without an offset")
        return Step(self.partition, self._believed, Position(last + 1, self._topic_id))

    def _moved(self, reply: Reply, those: Sequence[Arrival | DeadLetter]) -> None:
        """Believe in the new position once Redis does; raises PositionMoved when it has another one."""
        if reply.status is Status.STALE:
            raise PositionMoved(f"partition {self.partition}: Redis has another position than this loader")
        self._believed = self._step(those).after


def _letters(arrivals: Iterable[Arrival], reason: str) -> list[DeadLetter]:
    return [DeadLetter(arrival.message, reason) for arrival in arrivals]
