"""The hunt: one push after the other, each with its faults, each judged when it is over."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crash.chaos import Chaos
from benchmarks.crash.journal import Journal
from benchmarks.crash.judge import Judge, Verdict
from benchmarks.crash.operator import GRACE, Operator
from benchmarks.crash.plan import ChaosPlan, plan_of
from benchmarks.crash.pushes import HuntedPush
from benchmarks.crash.readers import Forbidden, Readers
from benchmarks.crash.stack import Stack
from benchmarks.crash.truth import PushedLists
from conf.errors import DiscoveryError
from publish.errors import PublishError, StoreUnreachable

_TICK, _GLANCE_SECONDS, _REPORT_SECONDS = 0.02, 0.3, 10.0
_FIRM_SECONDS = 5.0  # after this time a verdict survives the loss of Redis' last second
_TIDY_PUSHES, _SWEEP_SECONDS = 8, 20.0


class HuntFailed(DiscoveryError):
    """The first push of the hunt failed."""


@dataclass
class _Open:
    """A push that is not settled; `verdict` is what it looked like at `at`."""

    push: HuntedPush
    rivals: bool
    verdict: tuple[Verdict, str] | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Parts:
    """Everything that takes part in a hunt."""

    stack: Stack
    truth: PushedLists
    journal: Journal
    readers: Readers
    forbidden: Forbidden
    judge: Judge
    operator: Operator
    chaos: Chaos
    home: Path


class Hunt:
    """Pushes in a loop; `log` is called with a line of progress every ten seconds."""

    def __init__(self, parts: Parts, log: Callable[[str], None]) -> None:
        self._parts, self._journal, self._log = parts, parts.journal, log
        self._open: list[_Open] = []
        self._peace = True
        self._reasons: Counter[str] = Counter()
        self._reported_at = self._swept_at = self._glanced_at = time.monotonic()

    def begin(self, number: int) -> None:
        """Makes the product's first push, without faults. Raises HuntFailed when it does not serve."""
        push = self._start(ChaosPlan(number), first=True)
        self._finish([push])
        self._settle_all()
        if self._journal.counts["served"] != 1:
            raise HuntFailed(f"the first push did not serve: {push.last_step}; see {push.publisher.log}")

    def hunt(self, first: int, seconds: float) -> int:
        """Pushes with faults for `seconds`, and until one has killed something. Returns the number of the next push."""
        self._peace = False
        number, until = first, time.monotonic() + seconds
        while time.monotonic() < until or not self._journal.counts["kills"]:
            plan = plan_of(self._parts.truth.seed, number)
            if plan.calm:
                self._parts.operator.calm()
            pushes = [self._start(plan)]
            if plan.together:
                pushes.append(self._start(plan_of(self._parts.truth.seed, number + 1)))
            self._parts.chaos.begin(plan, pushes[0])
            self._finish(pushes)
            if number % _TIDY_PUSHES == 0:
                self._try(self._parts.operator.tidy)
            number += len(pushes)
        return number

    def end(self, number: int) -> None:
        """Stops the faults, settles every push, makes one more that must serve, and checks that nothing is left."""
        self._parts.chaos.stop()
        self._peace = True
        self._settle_all()
        self._parts.operator.calm()
        push = self._start(ChaosPlan(number))
        self._finish([push])
        served = self._journal.counts["served"]
        self._settle_all()
        if self._journal.counts["served"] == served:
            self._journal.violation("last push", f"in peace it did not serve: {push.last_step}", push=number)
        self._rest(GRACE.total_seconds() + 1)
        if not self._parts.judge.is_kept(self._parts.stack.kafka):
            self._journal.violation("pointer not kept", "Kafka has another pointer than Redis")
        for _ in range(2):
            self._try(self._parts.operator.tidy)
            self._try(self._parts.judge.sweep)
        self._report()

    def summary(self) -> str:
        """Returns why pushes were refused, the most frequent reasons first."""
        return "\n".join(f"{count:>7} × {reason}" for reason, count in self._reasons.most_common(12))

    def _start(self, plan: ChaosPlan, *, first: bool = False) -> HuntedPush:
        parts = self._parts
        push = HuntedPush(plan, parts.truth, parts.stack, self._journal, parts.home, first=first)
        self._journal.push = plan.number
        self._journal.note(f"begin {push}")
        if not plan.may_serve:
            parts.forbidden.add(push.run)
        for other in self._open:
            other.rivals = True
        self._open.append(_Open(push, rivals=bool(self._open)))
        return push

    def _finish(self, pushes: list[HuntedPush]) -> None:
        """Runs rounds until every publisher has ended."""
        while not all(push.is_sent for push in pushes):
            for push in pushes:
                push.tick()
                if push.plan.events:
                    push.look(self._parts.judge.registry, self._parts.judge.store)
                if push.is_late and not push.is_sent:
                    self._give_up(push)
            self._round()
        self._try(self._inspect)

    def _give_up(self, push: HuntedPush) -> None:
        self._journal.violation(
            "quiet", f"{push} neither serves nor failed in time; {push.last_step}", push=push.number
        )
        push.give_up()
        self._open = [one for one in self._open if one.push is not push]

    def _settle_all(self) -> None:
        while self._open:
            self._round()
        self._try(self._inspect)

    def _round(self) -> None:
        """Does what is due: settles pushes, reads the pointer, sweeps keys, reports."""
        time.sleep(_TICK)
        self._parts.stack.supervise()
        self._parts.readers.check_alive()
        for one in tuple(self._open):
            if one.push.is_sent:
                self._try(lambda one=one: self._settle(one))  # type: ignore[misc]
        if time.monotonic() - self._glanced_at > _GLANCE_SECONDS:
            self._glanced_at = time.monotonic()
            self._try(self._parts.judge.glance)
        if time.monotonic() - self._swept_at > _SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            self._try(self._parts.judge.sweep)
        if time.monotonic() - self._reported_at > _REPORT_SECONDS:
            self._report()

    def _settle(self, one: _Open) -> None:
        """Judges a push that was sent, twice: between the looks Redis may lose its last second, verdicts included."""
        now = time.monotonic()
        if one.verdict is None:
            one.verdict, one.at = self._parts.judge.verdict(one.push), now
            if one.verdict is None and one.push.is_late:
                self._give_up(one.push)
        elif self._peace or now - one.at > _FIRM_SECONDS:
            if self._journal.was("setback", one.at, one.at + _FIRM_SECONDS):
                one.verdict = None
                return
            self._open.remove(one)
            self._count(one.push, *one.verdict)
            self._parts.judge.judge(one.push, *one.verdict, rivals=one.rivals)

    def _count(self, push: HuntedPush, verdict: Verdict, why: str) -> None:
        self._journal.note(f"push {push.number}: {verdict} {why}")
        self._journal.count("pushes")
        self._journal.count({Verdict.SERVED: "served", Verdict.HELD: "held"}.get(verdict, "refused"))
        if verdict is not Verdict.SERVED:
            kind = push.plan.damage if not push.plan.may_serve else "whole"
            self._reasons[f"{kind}: {verdict}: {_in_short(why)}"] += 1
        push.forget()

    def _inspect(self) -> None:
        for _ in range(5):
            if self._parts.judge.inspect() is not None:
                return

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._round()

    def _try(self, what: Callable[[], object]) -> None:
        """Calls what needs Redis; when Redis is away, the next round tries again."""
        try:
            what()
        except StoreUnreachable:
            self._journal.count("looks without Redis")
        except PublishError as error:
            self._journal.note(f"{type(error).__name__}: {error}")

    def _report(self) -> None:
        self._reported_at = time.monotonic()
        counts, seconds = self._journal.counts, time.monotonic() - self._journal.began
        for news in self._journal.news():
            self._log(news)
        self._log(
            f"{seconds:6.0f} s  pushes {counts['pushes']} (served {counts['served']}, held {counts['held']}, "
            f"refused {counts['refused']})  kills {counts['kills']}  freezes {counts['freezes']}  "
            f"restarts {counts['restarts']}  reads {counts['reads']:,} ({counts['reads'] / seconds:,.0f}/s)  "
            f"violations {counts['violations']}"
        )


def _in_short(why: str) -> str:
    """Returns a reason with its digits replaced and cut to 70 characters, to count equal ones together."""
    return "".join("#" if char.isdigit() else char for char in why)[:70]
