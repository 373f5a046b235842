"""Logs answers to Kafka beside the look-ups, which it neither slows nor fails.

`log` puts an answer into a bounded queue and returns. A thread sends it on in small batches and gives the interpreter
away after each, so that a look-up never waits for more than one. What cannot be sent is dropped and counted: at every
moment `logged == delivered + dropped + waiting`. Each answer has the writer's id and a number dense from 0, so that
readers of the topic can count what is missing, too. Once a minute, and when it is closed, the writer sends its counts.

A forked child has a log of its own: another writer, nothing counted, nothing waiting, a producer made when first used.
"""

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from conf.connections import KafkaConnection
from conf.exposures import ExposureSettings
from publish.clock import milliseconds_now
from publish.connect.clients import KafkaSettings, kafka_settings
from publish.exposures.message import WRITER_KEY, WriterCounts, encode_exposure, encode_writer, writer_name
from publish.read.rules import Answer
from publish.wire.keys import ProductKeys

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8
"""Answers encoded and handed over without giving the interpreter away: about 0.1 ms."""
_IDLE_SECONDS = 0.1
_LINGER_MS = 500
"""How long a record waits for others of its partition: each request to the broker costs as much as ten records."""
_RETRY_SECONDS = 1.0
_COUNTS_SECONDS = 60.0
_WARN_SECONDS = 60.0
_QUEUED_KIB = 65_536


class Drop(StrEnum):
    """Why an answer was not delivered."""

    QUEUE_FULL = "queue_full"
    """Too many were waiting for the broker."""
    NOT_ACKNOWLEDGED = "not_acknowledged"
    """The broker refused it, or did not acknowledge it in time; in rare cases it has it all the same."""
    MALFORMED = "malformed"
    """It cannot be encoded: the surface's name is none."""
    CLOSED = "closed"
    """The log was closed before it was sent."""


class Counts(NamedTuple):
    """What became of the answers, at one moment: logged == delivered + Σ dropped + waiting."""

    logged: int
    delivered: int
    dropped: Mapping[str, int]
    waiting: int


class _Waiting(NamedTuple):
    seq: int
    ts: int
    surface: str
    answer: Answer


class _Link:
    """A producer, and what became of the answers that were given to it since the last count.

    It calls back for failures only: a burst of calls for what was delivered would hold up look-ups. What it has taken,
    did not fail and is not in its queue any more is delivered.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.producer = Producer(settings)
        self.open = 0
        """Answers that it has taken and that are not answered for; these three are touched by one thread only."""
        self.delivered = 0
        self.failed = dict.fromkeys(Drop, 0)
        self.fault = ""

    def on_delivery(self, error: KafkaError | None, message: Message | None) -> None:
        """Counts one answer that was not delivered; called from within a poll."""
        del message
        if error is None:
            return
        self.open -= 1
        if error.code() in _PURGED:
            self.failed[Drop.CLOSED] += 1
        else:
            self.failed[Drop.NOT_ACKNOWLEDGED] += 1
            self.fault = error.name()

    def count_delivered(self) -> None:
        """Counts the answers that have left its queue."""
        gone = max(0, self.open - len(self.producer))
        self.open -= gone
        self.delivered += gone


class ExposureLog:
    """Logs the answers of one process; safe to share between threads, and usable in forked children."""

    def __init__(self, kafka: KafkaConnection, product: str, settings: ExposureSettings) -> None:
        """Connects to nothing yet."""
        self._kafka, self._settings = kafka, settings
        self._topic = ProductKeys(product).exposures_topic
        self._client_id = f"discovery-exposures-{product}"
        self._is_closed = False
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """Begins as a new writer."""
        self._writer = secrets.randbits(64) or 1
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._limit = self._settings.queue
        self._logged = self._delivered = self._waiting = 0
        self._dropped = dict.fromkeys(Drop, 0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline = float("inf")
        self._warned_at, self._warned_of = float("-inf"), 0

    @property
    def writer(self) -> str:
        """The writer's id in its records: 16 hex digits."""
        return writer_name(self._writer)

    @property
    def logged(self) -> int:
        """Answers so far; the next one has this number."""
        return self._logged

    @property
    def delivered(self) -> int:
        """Answers that the broker has acknowledged."""
        return self._delivered

    @property
    def dropped(self) -> Mapping[str, int]:
        """Answers that were not delivered, by reason."""
        return {str(reason): number for reason, number in self._dropped.items()}

    @property
    def waiting(self) -> int:
        """Answers that are neither delivered nor dropped yet; at most `exposures.queue`."""
        return self._waiting

    def counts(self) -> Counts:
        """Returns all counts at one moment."""
        with self._lock:
            return Counts(self._logged, self._delivered, self.dropped, self._waiting)

    def log(self, answer: Answer, surface: str = "default") -> None:
        """Logs an answer: within a microsecond, without waiting for anybody, and without ever raising."""
        with self._lock:
            seq = self._logged
            self._logged = seq + 1
            if self._is_closed:
                self._dropped[Drop.CLOSED] += 1
                return
            if self._waiting >= self._limit:
                self._dropped[Drop.QUEUE_FULL] += 1
                return
            self._waiting += 1
            self._queue.append(_Waiting(seq, milliseconds_now(), surface, answer))
        if self._thread is None:
            self._start()

    def close(self, timeout: float = 5.0) -> None:
        """Sends what waits and the final counts within `timeout` seconds, and drops the rest; may be repeated."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
            if thread is None:
                return
            self._deadline = min(self._deadline, time.monotonic() + timeout)
        self._stop.set()
        thread.join(timeout + 2.0)
        if thread.is_alive():
            _LOG.warning("warning   %s: the log of answers did not end in time", self._topic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._is_closed:
                return
            thread = threading.Thread(target=self._run, name="exposures", daemon=True)
            with suppress(RuntimeError):  # no more threads: the next answer tries again, and this one waits
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        """Sends until the log is closed; nothing that fails here ends it."""
        link: _Link | None = None
        told = time.monotonic()
        while not self._stop.is_set():
            link = link or self._connect()
            if link is None:
                self._stop.wait(_RETRY_SECONDS)
                continue
            try:
                self._work(link)
                if time.monotonic() - told > _COUNTS_SECONDS:
                    told = time.monotonic()
                    self._tell(link, closed=False)
            except Exception as error:  # noqa: BLE001 - of a producer that can go on no more
                self._give_up(link, error)
                link = None
        self._finish(link)

    def _work(self, link: _Link) -> None:
        """Sends one small batch, or waits a moment where there is none."""
        sent = self._send(link)
        link.producer.poll(0 if sent else _IDLE_SECONDS)
        self._settle(link)
        if sent:
            time.sleep(0)  # whoever waits for the interpreter gets it here

    def _send(self, link: _Link) -> int:
        """Gives the next answers to the producer; returns their number."""
        records: list[dict[str, Any]] = []
        number = min(len(self._queue), _AT_ONCE)
        for _ in range(number):
            waiting = self._queue.popleft()
            try:
                key, value = encode_exposure(waiting.answer, waiting.surface, waiting.ts, self._writer, waiting.seq)
            except Exception as error:  # noqa: BLE001 - whatever a caller passed must not stop the others
                link.failed[Drop.MALFORMED] += 1
                link.fault = str(error)
                continue
            records.append({"key": key, "value": value})
        self._hand_over(link, records)
        return number

    def _hand_over(self, link: _Link, records: list[dict[str, Any]]) -> None:
        """Gives records to the producer; waits while it has no room, unless the log must end."""
        while records:
            try:
                link.producer.produce_batch(self._topic, records, on_delivery=link.on_delivery)
                refused = [(record, record.pop("_error")) for record in records if "_error" in record]
            except BufferError as full:
                refused = [(record, full) for record in records]
            link.open += len(records) - len(refused)
            records = []
            for record, error in refused:
                if isinstance(error, BufferError) or error.code() == KafkaError._QUEUE_FULL:
                    records.append(record)
                else:  # too large
                    link.failed[Drop.NOT_ACKNOWLEDGED] += 1
                    link.fault = error.name()
            if records:
                link.producer.poll(_IDLE_SECONDS)
                self._settle(link)
                if time.monotonic() > self._deadline:
                    link.failed[Drop.CLOSED] += len(records)
                    return

    def _settle(self, link: _Link) -> None:
        """Moves the producer's counts into those of the log, all at once, and warns of drops once in a while."""
        link.count_delivered()
        failed = sum(link.failed.values())
        if link.delivered or failed:
            with self._lock:
                self._delivered += link.delivered
                for reason, number in link.failed.items():
                    self._dropped[reason] += number
                self._waiting -= link.delivered + failed
            link.delivered, link.failed = 0, dict.fromkeys(Drop, 0)
        dropped = sum(self._dropped.values())
        if dropped > self._warned_of and time.monotonic() - self._warned_at > _WARN_SECONDS:
            self._warned_at, self._warned_of = time.monotonic(), dropped
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in self.dropped.items() if number)
            _LOG.warning(
                "warning   %s: %s of %s answers were not logged so far (%s%s); look-ups go on",
                self._topic,
                f"{dropped:,}",
                f"{self._logged:,}",
                reasons,
                f"; last fault: {link.fault}" if link.fault else "",
            )

    def _tell(self, link: _Link, *, closed: bool) -> None:
        """Sends the writer's counts; that they arrive is not waited for."""
        counts = self.counts()
        dropped = {reason: number for reason, number in counts.dropped.items() if number}
        now = milliseconds_now()
        value = encode_writer(WriterCounts(self.writer, now, counts.logged, dropped, self._settings.queue, closed))
        with suppress(BufferError):
            link.producer.produce(self._topic, value, WRITER_KEY)

    def _connect(self) -> _Link | None:
        """Returns a new producer; None where librdkafka refuses the settings (a file of certificates is missing)."""
        timeout = self._settings.delivery_timeout_seconds * 1000
        try:
            return _Link(
                {
                    **kafka_settings(self._kafka, self._client_id),
                    "acks": "all",
                    "enable.idempotence": True,
                    "delivery.report.only.error": True,
                    "delivery.timeout.ms": timeout,
                    "linger.ms": min(_LINGER_MS, timeout // 2),
                    "partitioner": "consistent_random",  # crc32 of the key as for lists; for an empty key any
                    "compression.type": "lz4",
                    "queue.buffering.max.messages": max(1_000, self._settings.queue),
                    "queue.buffering.max.kbytes": _QUEUED_KIB,
                }
            )
        except (KafkaException, TypeError, ValueError) as error:
            self._warn_of_refusal(error)
            return None

    def _warn_of_refusal(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at > _WARN_SECONDS:
            self._warned_at = time.monotonic()
            _LOG.error(
                "error     %s: librdkafka refuses the settings (%s), so no answer is logged; check "
                "KAFKA_BOOTSTRAP_SERVERS and the files of KAFKA_SSL_…",
                self._topic,
                type(error).__name__,  # its text would quote settings
            )

    def _give_up(self, link: _Link, error: Exception) -> None:
        """Counts what a broken producer still had as not acknowledged; the next one begins anew."""
        _LOG.warning("warning   %s: a producer of answers had to be replaced (%s)", self._topic, error)
        with suppress(Exception):
            link.producer.purge()
            link.producer.flush(1)
            link.count_delivered()
        link.failed[Drop.NOT_ACKNOWLEDGED] += link.open + link.failed[Drop.CLOSED]
        link.open = link.failed[Drop.CLOSED] = 0
        self._settle(link)

    def _finish(self, link: _Link | None) -> None:
        """Sends what waits until the deadline, drops the rest, and says good-bye."""
        link = link or self._connect()
        begun = time.monotonic()
        last = begun + _SHARE_FOR_ANSWERS * max(0.0, self._deadline - begun)
        if link is not None:
            try:
                while self._queue and time.monotonic() < last:
                    self._work(link)
                link.producer.flush(max(0.0, last - time.monotonic()))
                self._settle(link)
                if link.open:
                    link.producer.purge()
                    link.producer.flush(_IDLE_SECONDS)
                self._settle(link)
            except Exception as error:  # noqa: BLE001 - as above
                self._give_up(link, error)
        with self._lock:  # nothing can come behind: the log is closed
            self._dropped[Drop.CLOSED] += self._waiting
            self._waiting = 0
            self._queue.clear()
        if self._dropped[Drop.CLOSED]:  # a producer whose queue was purged may purge what comes behind, too
            link = self._connect()
        if link is not None:
            with suppress(Exception):
                self._tell(link, closed=True)
                link.producer.flush(max(_IDLE_SECONDS, self._deadline - time.monotonic()))
                link.producer.purge()


_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
_SHARE_FOR_ANSWERS = 0.7
"""Of the time to close: the rest is for the final counts."""
_ALL: "weakref.WeakSet[ExposureLog]" = weakref.WeakSet()


def _begin_again() -> None:
    for log in _ALL:
        log._begin()


def _close_all() -> None:
    for log in list(_ALL):
        log.close()


os.register_at_fork(after_in_child=_begin_again)
atexit.register(_close_all)
