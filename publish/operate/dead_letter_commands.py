"""An operator's commands on dead letters: list, show, send again where that can help, delete."""

import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from conf.connections import KafkaConnection
from conf.ids import IdKind
from publish.connect.clients import admin_client, broker_unreachable
from publish.connect.confirmed_sender import Outgoing, send_confirmed
from publish.errors import LetterRefused, MalformedMessage
from publish.load.arrivals import checked_mark
from publish.operate.dead_letter_reader import Letter, Letters
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun, RunState
from publish.store.redis_store import RedisStore
from publish.wire.codec import decode
from publish.wire.messages import Envelope, MessageKind, begin_of, end_of

_HEX_BYTES = 64


@dataclass(frozen=True)
class LetterReport:
    """A letter, and the run it belongs to, if known."""

    letter: Letter
    run: str | None


@dataclass(frozen=True)
class LetterContent:
    """A letter's `content` if it can be read, else `fault` and its first bytes as hex."""

    report: LetterReport
    kind: str | None
    seq: int | None
    content: dict[str, Any] | None
    fault: str | None
    hex: str | None


@dataclass(frozen=True)
class Sent:
    """A letter that was sent to its topic again."""

    letter: int
    run: str
    partition: int


@dataclass(frozen=True)
class Dropped:
    """Numbers of deleted and of remaining letters."""

    dropped: int
    left: int


class DeadLetters:
    """The dead letters of one product; methods raise BrokerUnreachable, StoreUnreachable and LetterRefused."""

    def __init__(self, kafka: KafkaConnection, registry: RunRegistry, store: RedisStore, ids: IdKind) -> None:
        self._kafka = kafka
        self._registry = registry
        self._store = store
        self._ids = ids
        self._letters = Letters(kafka, registry.keys.dead_letter_topic)

    def newest(self, *, limit: int, run: str | None = None) -> tuple[LetterReport, ...]:
        """Returns the newest `limit` letters (of `run`, if given), oldest first."""
        low, high = self._letters.bounds()
        names = self._names()
        start = low if run is not None else max(low, high - limit)
        reports = (_report(letter, names) for letter in self._letters.read(start, high))
        return tuple(deque((report for report in reports if run in (None, report.run)), maxlen=limit))

    def show(self, letter: int) -> LetterContent:
        """Returns one letter with its content."""
        found = self._find(letter)
        report = _report(found, self._names())
        run = None if report.run is None else self._registry.find(report.run)
        ids = self._ids if run is None else run.announcement.ids
        try:
            envelope = found.envelope
            content = _content(found, envelope, ids)
        except MalformedMessage as fault:
            shown = (found.value or b"")[:_HEX_BYTES].hex()
            return LetterContent(report, None, None, None, fault.reason, shown)
        return LetterContent(report, envelope.kind.name, envelope.seq, content, None, None)

    def retry(self, letters: Sequence[int]) -> tuple[Sent, ...]:
        """Sends letters back to their partitions, all or none; may be repeated, as each seq is stored once."""
        outgoing: list[Outgoing] = []
        sent: list[Sent] = []
        refused: list[str] = []
        for letter in [self._find(letter) for letter in dict.fromkeys(letters)]:
            try:
                run, partition = self._way_back(letter)
            except LetterRefused as refusal:
                refused.append(f"letter {letter.id}: {refusal}")
            else:
                outgoing.append(Outgoing(letter.key, letter.value, partition=partition))
                sent.append(Sent(letter.id, run, partition))
        if refused:
            raise LetterRefused(f"{'; '.join(refused)}; nothing was sent")
        keys = self._registry.keys
        advice = f"raise max.message.bytes of {keys.topic}, or start a new run"
        send_confirmed(self._kafka, f"discovery-retry-{keys.product}", {keys.topic: outgoing}, if_too_large=advice)
        return tuple(sent)

    def drop(self, letter: int) -> Dropped:
        """Deletes all letters up to and including this one, as Kafka deletes from the front only; may be repeated."""
        low, high = self._letters.bounds()
        if not 0 <= letter < high:
            newest = f"the newest is {high - 1}" if high > low else "there is none"
            raise LetterRefused(f"there is no letter {letter} in {self._letters.topic} yet; {newest}")
        place = TopicPartition(self._letters.topic, 0, letter + 1)
        if letter >= low:
            admin = admin_client(self._kafka)
            try:
                admin.delete_records([place])[place].result(35)
            except KafkaException as error:
                raise broker_unreachable(self._kafka, error) from None
        now = self._letters.bounds()
        return Dropped(now.low - low, now.high - now.low)

    def _find(self, letter: int) -> Letter:
        found = self._letters.find(letter)
        if found is None:
            low, high = self._letters.bounds()
            there = f"there are {low} … {high - 1}" if high > low else "there is none"
            raise LetterRefused(f"there is no letter {letter} in {self._letters.topic}; {there}")
        return found

    def _way_back(self, letter: Letter) -> tuple[str, int]:
        """Returns the run and the partition that a letter can still be sent to; raises LetterRefused."""
        if letter.value is None and letter.dropped_value_bytes is not None:
            raise LetterRefused("it was too large to be kept with its value; start a new run")
        try:
            envelope = letter.envelope
        except MalformedMessage as fault:
            raise LetterRefused(f"no loader of this version can read it ({fault.reason}); drop it") from None
        run = next((run for run in self._registry.list_runs() if run.announcement.epoch == envelope.epoch), None)
        if run is None:
            raise LetterRefused(f"no announced run has epoch {envelope.epoch}; drop it")
        partition = self._home(letter, envelope, run)
        self._refuse_hopeless(run, partition, envelope.kind)
        return run.name, partition

    def _home(self, letter: Letter, envelope: Envelope, run: RegisteredRun) -> int:
        """Returns the partition of a record: by its key, so that one sent to a wrong partition is corrected."""
        if envelope.kind is MessageKind.DATA:
            return zlib.crc32(letter.key or b"") % run.announcement.partitions
        if letter.partition is None:
            raise LetterRefused("its origin is unknown; drop it")
        try:
            checked_mark(envelope, run, letter.partition)
        except MalformedMessage as forged:
            raise LetterRefused(f"it is not genuine ({forged.reason}); drop it") from None
        return letter.partition

    def _refuse_hopeless(self, run: RegisteredRun, partition: int, kind: MessageKind) -> None:
        """Raises LetterRefused if the run no longer accepts records in this partition, or will fail anyway."""
        if run.state.is_over:
            why = f" ({run.status.reason})" if run.status.reason is not None else ""
            raise LetterRefused(f"run {run.name} is {run.state}{why}; start a new run and drop it")
        status = self._store.progress(run.announcement)[partition]
        if run.state is RunState.READY or status.is_verified:
            raise LetterRefused(f"partition {partition} of run {run.name} is complete without it; drop it")
        if status.state is None and kind is not MessageKind.BEGIN:
            raise LetterRefused(
                f"run {run.name} has not begun in partition {partition}, and the letter would come back; try again "
                "when `discovery status` shows the partition LOADING"
            )
        for piece in run.announcement.slices:
            if poison := self._store.poison(run.announcement, piece.partition):
                raise LetterRefused(
                    f"run {run.name} will fail at its END: {poison} unreadable records came in partition "
                    f"{piece.partition} and the budget is 0; start a new run"
                )

    def _names(self) -> dict[int, str]:
        return {run.announcement.epoch: run.name for run in self._registry.list_runs()}


def _report(letter: Letter, names: Mapping[int, str]) -> LetterReport:
    return LetterReport(letter, None if letter.epoch is None else names.get(letter.epoch))


def _content(letter: Letter, envelope: Envelope, ids: IdKind) -> dict[str, Any]:
    if envelope.kind is not MessageKind.DATA:
        mark = begin_of(envelope) if envelope.kind is MessageKind.BEGIN else end_of(envelope)
        return mark.model_dump(mode="json")
    sources, scores = decode(envelope.payload, ids)
    return {
        "user": (letter.key or b"").decode(errors="replace"),
        "source_ids": [str(source) for source in sources],
        "scores": list(scores),
    }
