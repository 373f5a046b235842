"""Readers that look users up all the time and check every answer against the truth."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.crash.journal import Journal
from benchmarks.crash.plan import SHARES, order_of
from benchmarks.crash.push import PRODUCT, SALT
from benchmarks.crash.truth import Expected, PushedLists
from conf.connections import RedisConnection
from conf.ids import arm_of
from publish.connect.redis_clients import redis_client
from publish.errors import StoreUnreachable
from publish.read.reader import Answer, Reader

_AT_ONCE = 50
_REST = 0.06  # leaves time for the other processes
_RECOVERY = 12.0  # seconds after an outage within which a client may still notice it
CACHE_SECONDS = 2.0


@dataclass
class Sight:
    """The run that answered a reader's look-ups; they began from `since` on and ended by `until`."""

    run: str
    since: float
    until: float


class Forbidden:
    """Pushes that must answer nobody: damaged ones from the start, failed ones from their verdict on."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def add(self, run: str) -> None:
        """Forbids a run from now on."""
        self._since.setdefault(run, time.monotonic())

    def forget(self, run: str) -> None:
        """Allows a run again, when Redis lost the verdict on it with its last second."""
        self._since.pop(run, None)

    def forbids(self, run: str, asked: float) -> bool:
        """Returns whether a look-up begun at `asked` must not see the run; pointers may be cached for 2 s."""
        return asked - CACHE_SECONDS > self._since.get(run, asked)


class Readers:
    """`count` readers, each with a client and a pointer cache of its own; a context manager."""

    def __init__(self, url: str, truth: PushedLists, forbidden: Forbidden, journal: Journal, *, count: int) -> None:
        self._journal = journal
        self._over = threading.Event()
        self._readers = [_Reading(url, truth, forbidden, journal, self._over, place) for place in range(count)]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for reader in self._readers:
            reader.join()

    def check_alive(self) -> None:
        """Records a violation for a reader thread that has ended."""
        for reader in self._readers:
            if reader.ident is not None and not reader.is_alive():
                self._journal.violation("hunter", f"{reader.name} ended")

    def sights(self, since: float, until: float) -> list[Sight]:
        """Returns the sights that lie between these times."""
        return [
            sight for reader in self._readers for sight in tuple(reader.sights)
            if sight.since > since and sight.until < until
        ]  # fmt: skip


class _Reading(threading.Thread):
    def __init__(
        self, url: str, truth: PushedLists, forbidden: Forbidden, journal: Journal, stop: threading.Event, place: int
    ) -> None:
        super().__init__(name=f"reader{place}", daemon=True)
        self.sights: list[Sight] = []
        self._truth, self._forbidden, self._journal, self._over = truth, forbidden, journal, stop
        self._dice = random.Random(f"{truth.seed}/reader/{place}")
        self._reader = Reader(redis_client(RedisConnection.of(url)), PRODUCT)
        self._is_steady = place == 0
        self._newest: tuple[int, float] = (0, 0.0)

    def run(self) -> None:
        while not self._over.wait(_REST):
            answers = [self._ask(self._anybody()) for _ in range(_AT_ONCE)]
            self._check([answer for answer in answers if answer is not None])

    def _anybody(self) -> int:
        """Draws a user; the first reader draws those who always have a list, and so keeps its pointer for long."""
        if self._is_steady:
            return self._dice.randrange(0, self._truth.always, 2)
        return self._dice.randrange(int(self._truth.users * 1.2))

    def _ask(self, user: int) -> Answer | None:
        asked = time.monotonic()
        try:
            answer = self._reader.lookup(user)
        except StoreUnreachable as away:
            self._journal.count("reads without Redis")
            if not self._journal.was("redis away", asked - _RECOVERY, time.monotonic()):
                self._journal.violation("unreachable", f"{self.name}: {away}, though Redis was up for {_RECOVERY} s")
            self._over.wait(0.02)
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, a user got no answer
            self._journal.violation("no answer", f"{self.name}, user {user}: {type(error).__name__}: {error}")
            self._over.wait(0.5)
            return None
        self._journal.count("reads")
        if answer.run is not None:
            self._see(answer.run, asked)
        return answer

    def _see(self, run: str, asked: float) -> None:
        now, number = time.monotonic(), self._truth.number_of(run)
        order = order_of(self._truth.seed, number)
        if self._forbidden.forbids(run, asked):
            self._journal.violation("failed run served", f"{self.name} was answered from {run}", push=number)
        newest, first_seen = self._newest
        if order < newest and not self._journal.was("setback", first_seen, now):
            self._journal.violation(
                "back in time", f"{self.name} saw push {newest} or its twin, then {number}", push=number
            )
        if order != newest:
            self._newest = (order, asked)
        last = self.sights[-1] if self.sights else None
        if last is not None and last.run == run and asked - last.since < 0.2:
            last.until = now
        else:
            self.sights = [*self.sights[-400:], Sight(run, asked, now)]

    def _check(self, answers: Sequence[Answer]) -> None:
        by_run: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            if fault := _fault_of_arm(answer):
                self._journal.violation("arm", f"{self.name}, user {answer.user_id}: {fault}")
            if answer.run is not None:
                by_run[answer.run].append(answer)
        for run, some in by_run.items():
            number = self._truth.number_of(run)
            truth = self._truth.expected(number, [int(answer.user_id) for answer in some])
            for answer, expected in zip(some, truth, strict=True):
                if (fault := _fault_of(answer, expected)) is not None:
                    self._journal.violation(
                        "answer", f"{self.name}, {run}, user {answer.user_id}: {fault}", push=number
                    )


def _fault_of_arm(answer: Answer) -> str | None:
    arm = "treatment" if arm_of(answer.user_id, SALT) < answer.share_bp else "control"
    if answer.arm != arm or answer.share_bp not in SHARES:
        return f"arm {answer.arm} at a share of {answer.share_bp}, must be {arm}"
    if (answer.run is None) != (arm == "control") or (answer.run is None and answer.kind != "control"):
        return f"arm {arm} is answered with {answer.kind} of run {answer.run}"
    return None


def _fault_of(answer: Answer, expected: Expected) -> str | None:
    if answer.kind != expected.kind:
        return f"{answer.kind} instead of {expected.kind}"
    if answer.source_ids != expected.source_ids:
        return f"{answer.kind} {answer.source_ids[:5]}… instead of {expected.source_ids[:5]}…"
    if answer.scores != expected.scores:
        return f"scores {answer.scores[:3]}… instead of {expected.scores[:3]}…"
    return None
