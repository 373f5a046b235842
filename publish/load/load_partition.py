"""Loads one partition of the topic into Redis: decides for each record what happens to it.

Loaded: data of an announced run that began here. Skipped: records of a run that is over. Dead-lettered: records that no
announced run has or that cannot be read. In each case the position in Redis moves in the same call, or after the dead
letter was acknowledged. Nothing here retries: every error is raised, and loading restarts from Redis' position.
"""

import logging
from collections import deque
from collections.abc import Sequence
from itertools import groupby

from confluent_kafka import Message

from publish.errors import MalformedMessage, PublishError, UnknownMessage
from publish.load.arrivals import Arrival, DataBlock, checked_mark, envelope_of, kind_of, read_messages
from publish.load.dead_letter_writer import DeadLetter
from publish.load.loader_tools import Tools
from publish.load.store_writer import Call, PendingWrite
from publish.runs.run import RegisteredRun
from publish.store.redis_store import MAX_BATCH, Position, Step
from publish.store.replies import Reply, Status
from publish.wire.keys import Layout
from publish.wire.messages import Codec, End, Envelope

_LOG = logging.getLogger(__name__)
_MAX_BYTES = 262_144
"""Approximate bytes of payloads in one atomic call: large lists take Redis longer."""
_AHEAD = 1
"""Writes of a partition under way while the next one is prepared."""


class PositionMoved(PublishError):
    """Redis has another position than this loader; the loader catches it and restarts from there."""


class PartitionLoader:
    """Loads one partition from a position on; `layout` has the topic's number of partitions."""

    def __init__(self, tools: Tools, layout: Layout, partition: int, topic_id: str, believed: Position | None) -> None:
        self.partition = partition
        self._tools = tools
        self._layout = layout
        self._topic_id = topic_id
        self._believed = believed
        self._pending: deque[PendingWrite] = deque()

    @property
    def next_offset(self) -> int | None:
        """The offset of Redis' position in this topic; None before its first record."""
        known = self._believed is not None and self._believed.topic_id == self._topic_id
        return self._believed.offset if known and self._believed is not None else None

    def check_position(self) -> None:
        """Raises PositionMoved if Redis has another position: it lost writes, and no new record may reveal it."""
        self.drain()
        if self._tools.store.position(self._layout, self.partition) != self._believed:
            raise PositionMoved(f"partition {self.partition}: Redis has another position than this loader")

    def load(self, messages: Sequence[Message]) -> None:
        """Processes consecutive records; raises PositionMoved, UnknownMessage, StoreUnreachable, DeliveryError."""
        offset, stands = messages[0].offset(), self._sent_to
        if offset is not None and stands is not None and stands.topic_id == self._topic_id and offset < stands.offset:
            raise PositionMoved(f"partition {self.partition}: offset {offset} came after {stands.offset}")
        for piece in read_messages(messages, self.partition, self._layout.partitions):
            if isinstance(piece, DataBlock):
                self._data(piece)
            else:
                self.drain()
                self._no_lists(piece)

    def drain(self, leave: int = 0) -> None:
        """Waits for all but `leave` writes under way and processes their replies; raises as `load` does."""
        again = False
        while len(self._pending) > leave or (again and self._pending):
            run, calls, answer = self._pending.popleft()
            with self._tools.lifecycle.blaming(run):
                for call, reply in zip(calls, answer.result(), strict=True):
                    # A call that moved nothing leaves a wrong position to the calls after it, so all are repeated.
                    again = again or reply.status is Status.ERASED
                    if again:
                        step = Step(self.partition, self._believed, call.step.after)
                        reply = self._tools.store.load_batch(run.announcement, step, call.batch)
                    again = again or reply.status is Status.NO_BEGIN
                    self._written(run, call, reply)

    def _no_lists(self, arrivals: list[Arrival]) -> None:
        for sort, group in groupby(arrivals, key=kind_of):
            if sort is None:
                self._unreadable(list(group))
            else:
                for arrival in group:
                    self._mark(arrival)

    def _unreadable(self, arrivals: list[Arrival]) -> None:
        """Dead-letters them; those that may belong to the current run count against it."""
        poison = 0
        for arrival in arrivals:
            run = None if arrival.epoch is None else self._tools.run_cache.find(arrival.epoch)
            ours = run is not None and not run.state.is_over
            if arrival.too_new and ours:
                raise UnknownMessage(f"{arrival.fault}: this loader is older than the publisher; upgrade it")
            poison += ours or arrival.epoch is None
        self._dead_letter([DeadLetter(arrival.message, arrival.fault) for arrival in arrivals], poison=poison)

    def _data(self, block: DataBlock) -> None:
        run = self._tools.run_cache.find(block.epoch)
        if run is not None and self._may_load(run):
            with self._tools.lifecycle.blaming(run):
                self._send(run, block)
            return
        self.drain()
        if run is None:
            self._dead_letter(_letters(block.messages, self._tools.run_cache.why_unknown(block.epoch)))
        else:
            self._skip(block.messages)

    def _may_load(self, run: RegisteredRun) -> bool:
        """Returns whether the run is being loaded into this topic, or was loaded from it."""
        if run.state.is_over:
            return False
        if self._tools.lifecycle.belongs(run, self._layout):
            return True
        self._tools.run_cache.find_fresh(run.announcement.epoch)
        return False

    def _send(self, run: RegisteredRun, block: DataBlock) -> None:
        calls, believed, start = list[Call](), self._sent_to, 0
        room = _MAX_BYTES * len(block.payloads) // max(1, sum(map(len, block.payloads)))
        for batch in block.batch(run.announcement.layout).cut(max(1, min(MAX_BATCH, room))):
            messages = block.messages[start : start + len(batch.users)]
            step = Step(self.partition, believed, self._after(messages))
            calls.append(Call(step, batch, messages))
            believed, start = step.after, start + len(messages)
        self._pending.append(self._tools.writer.send(run, calls))
        self.drain(leave=_AHEAD)

    def _written(self, run: RegisteredRun, call: Call, reply: Reply) -> None:
        if reply.status is Status.NO_BEGIN:
            self._before_begin(run, call.messages)
            return
        self._moved(reply, call.messages)
        if reply.status is Status.CONFLICT:
            self._tools.lifecycle.fail(run.name, f"partition {self.partition}: {reply.detail}")
        elif reply.status is Status.LOADED:
            self._tools.metrics.loaded.inc(len(call.messages))
        else:
            self._tools.metrics.fenced.inc(len(call.messages))

    def _before_begin(self, run: RegisteredRun, messages: Sequence[Message]) -> None:
        """Dead-letters data of a run that has not begun here, or skips it if the run is over or restoring.

        In a rebuild, the topic's retention may have removed the BEGIN.
        """
        now = self._tools.run_cache.find_fresh(run.announcement.epoch)
        if now is None or now.state.is_over or now.status.restoring:
            self._skip(messages)
        else:
            self._dead_letter(_letters(messages, f"data of run {run.name} before its BEGIN"), poison=len(messages))

    def _mark(self, arrival: Arrival) -> None:
        """Processes a BEGIN or END: dead-letters a forged one, skips one of a run that is over."""
        envelope = envelope_of(arrival)
        run = self._tools.run_cache.find_fresh(envelope.epoch)
        if run is None:
            self._dead_letter(_letters([arrival.message], self._tools.run_cache.why_unknown(envelope.epoch)))
            return
        with self._tools.lifecycle.blaming(run):
            self._mark_of(run, arrival, envelope)

    def _mark_of(self, run: RegisteredRun, arrival: Arrival, envelope: Envelope) -> None:
        try:
            mark = checked_mark(envelope, run, self.partition)
        except MalformedMessage as forged:
            self._dead_letter([DeadLetter(arrival.message, forged.reason)])
            return
        if not self._may_load(run):
            self._skip([arrival.message])
        elif isinstance(mark, End):
            self._end(run, arrival, mark)
        else:
            self._begin(run, arrival)

    def _begin(self, run: RegisteredRun, arrival: Arrival) -> None:
        if run.announcement.codec != Codec.LIST:
            raise UnknownMessage(f"run {run.name} has codec {run.announcement.codec}: upgrade this loader")
        if not self._tools.lifecycle.admit(run):
            self._skip([arrival.message])
            return
        reply = self._tools.store.begin(run.announcement, self._step([arrival.message]))
        self._tools.lifecycle.check_still_wanted(run.name)  # first: a BEGIN whose reply was lost is STALE now
        self._moved(reply, [arrival.message])
        if reply.status is Status.BEGUN:
            count = run.announcement.slices[self.partition].count
            _LOG.info("run %s partition %d: BEGIN, %d lists", run.name, self.partition, count)

    def _end(self, run: RegisteredRun, arrival: Arrival, end: End) -> None:
        status = self._tools.store.progress(run.announcement)[self.partition]
        if status.state is None and run.status.restoring:
            self._skip([arrival.message])
            return
        if status.state is None:
            self._dead_letter([DeadLetter(arrival.message, f"END of run {run.name} before its BEGIN")], poison=1)
            return
        if status.state == Status.LOADING:
            fault = self._tools.lifecycle.fault_at_end(run, self.partition, end, self._tools.pause)
        else:
            fault = None if status.is_verified else status.reason
        if fault is not None:
            self._tools.lifecycle.fail(run.name, fault)
        if fault is not None or status.state != Status.LOADING:
            self._skip([arrival.message])
            return
        self._moved(self._tools.store.mark_verified(run.announcement, self._step([arrival.message])), [arrival.message])
        _LOG.info("run %s partition %d: VERIFIED, %d lists", run.name, self.partition, status.loaded)
        self._tools.lifecycle.promote_or_fail(run.name)

    def _dead_letter(self, letters: Sequence[DeadLetter], *, poison: int = 0) -> None:
        for start in range(0, len(letters), MAX_BATCH):
            some = letters[start : start + MAX_BATCH]
            self._tools.dead_letters.dead_letter(some)
            share = min(poison, len(some))  # which letters of a group count does not matter
            messages = [letter.message for letter in some]
            step = self._step(messages)
            self._moved(self._tools.store.skip(self._layout, step, poison=share, dead=len(some)), messages)
            self._tools.metrics.dead_letters.inc(len(some))
            poison -= share
        _LOG.warning("partition %d: %d dead letters: %s", self.partition, len(letters), letters[0].reason)

    def _skip(self, messages: Sequence[Message]) -> None:
        self._moved(self._tools.store.skip(self._layout, self._step(messages)), messages)
        self._tools.metrics.fenced.inc(len(messages))

    @property
    def _sent_to(self) -> Position | None:
        """Redis' position once all writes under way are done."""
        return self._pending[-1].calls[-1].step.after if self._pending else self._believed

    def _step(self, messages: Sequence[Message]) -> Step:
        """Returns the step past these messages."""
        return Step(self.partition, self._believed, self._after(messages))

    def _after(self, messages: Sequence[Message]) -> Position:
        last = messages[-1].offset()
        if last is None:
            raise PositionMoved(f"partition {self.partition}: a record without an offset")
        return Position(last + 1, self._topic_id)

    def _moved(self, reply: Reply, messages: Sequence[Message]) -> None:
        """Takes over the new position after Redis moved; raises PositionMoved if Redis has another one."""
        if reply.status is Status.STALE:
            raise PositionMoved(f"partition {self.partition}: Redis has another position than this loader")
        self._believed = self._after(messages)


def _letters(messages: Sequence[Message], reason: str) -> list[DeadLetter]:
    return [DeadLetter(message, reason) for message in messages]
