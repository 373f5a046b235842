"""A push as the hunter sees it: the publisher's process, its progress and its log."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.crash.journal import Journal
from benchmarks.crash.plan import ChaosPlan, Moment
from benchmarks.crash.push import PRODUCT, SETTINGS, Order
from benchmarks.crash.stack import Service, Stack
from benchmarks.crash.truth import PARTITIONS, PushedLists
from publish.errors import PublishError
from publish.runs.registry import RunRegistry
from publish.store.redis_store import RedisStore

_REST = 0.7  # seconds before a publisher is started again
_LAST_LOOK = 0.1  # seconds after its end in which events that wait for the end still happen
_SLACK = 45.0  # seconds that ending a run may take beyond its deadlines


class HuntedPush:
    """One push of a hunt; `tick` it until it `is_sent`, and settle it afterwards."""

    def __init__(
        self, plan: ChaosPlan, truth: PushedLists, stack: Stack, journal: Journal, home: Path, *, first: bool = False
    ) -> None:
        self.plan, self.number, self.run = plan, plan.number, truth.run_of(plan.number)
        self.began = self._attempt_began = time.monotonic()
        self.announced: float | None = None
        self.loaded, self.verified = 0.0, 0
        self.is_sent = False
        order = Order(
            seed=truth.seed,
            users=truth.users,
            number=plan.number,
            home=str(home),
            first=first,
            damage=plan.damage,
            partition=plan.partition,
            draw=plan.draw,
            pause=plan.pause,
            polite=plan.polite,
        )
        argv = [sys.executable, "-m", "benchmarks.crash.push", order.model_dump_json()]
        self.publisher = Service(f"publisher{plan.number}", argv, stack.environment, home / f"push-{plan.number}.log")
        self._kept = home / f"push-{plan.number}.json"
        self._journal, self._attempts, self._ended_at = journal, 1, 0.0
        self._deadline = SETTINGS.load_deadline_seconds + SETTINGS.stall_seconds + _SLACK
        self.publisher.start()

    def tick(self) -> None:
        """Restarts a publisher that failed, as the scheduler would, or notes that the last attempt ended."""
        code = self.publisher.ended
        if self.is_sent or code is None or not self.publisher.lock.acquire(blocking=False):
            return
        try:
            self._ended_at = self._ended_at or time.monotonic()
            if code not in (1, -9) or self._attempts > self.plan.retries:
                if time.monotonic() - self._ended_at > _LAST_LOOK:
                    self.is_sent = True
                    self._journal.note(f"push {self.number}: publisher ended with {code} {self.last_step}")
            elif time.monotonic() - self._ended_at > _REST:
                self._journal.note(f"push {self.number}: publisher ended with {code} {self.last_step}; again")
                self._attempts, self._ended_at, self._attempt_began = self._attempts + 1, 0.0, time.monotonic()
                self.publisher.start()
        finally:
            self.publisher.lock.release()

    def look(self, registry: RunRegistry, store: RedisStore) -> None:
        """Reads the progress of the push from Redis, for events that wait for it."""
        try:
            found = registry.find(self.run)
            if found is not None:
                self.announced = self.announced or time.monotonic()
                parts = store.progress(found.announcement)
                self.loaded = sum(part.loaded for part in parts) / max(1, found.announcement.users)
                self.verified = sum(part.is_verified for part in parts)
        except PublishError:
            return

    def has_come_to(self, moment: Moment) -> bool:
        """Returns whether the push has reached this moment."""
        match moment.sort:
            case "began":
                return time.monotonic() - self.began >= moment.value
            case "announced":
                return self.announced is not None and time.monotonic() - self.announced >= moment.value
            case "loaded":
                return self.loaded > 0 and self.loaded >= moment.value
            case _:
                return self.verified >= min(moment.value, PARTITIONS)

    def give_up(self) -> None:
        """Kills its publisher."""
        self.publisher.end(signal.SIGKILL)
        self.is_sent = True

    def forget(self) -> None:
        """Ends its publisher and deletes the file that attempts share."""
        self.publisher.end(signal.SIGTERM)
        self._kept.unlink(missing_ok=True)

    @property
    def is_late(self) -> bool:
        """Whether it should have ended by now; outages extend the time."""
        since = self._attempt_began
        away = sum(self._journal.seconds(name, since) for name in ("redis away", "broker away", "loader away"))
        return time.monotonic() - since > self._deadline + away

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps that its publishers printed, attempt after attempt."""
        lines = self.publisher.log.read_text(errors="replace").splitlines() if self.publisher.log.exists() else []
        steps = []
        for line in lines:
            if line.startswith("{") and line.endswith("}"):
                steps.append(json.loads(line))
        return steps

    @property
    def names(self) -> set[str]:
        """The names of the steps that were reached."""
        return {step["step"] for step in self.steps}

    @property
    def last_step(self) -> str:
        """The last step and its reason."""
        last = self.steps[-1:]
        return " ".join(str(value)[:300] for value in last[0].values()) if last else "(nothing)"

    def __str__(self) -> str:
        plan = self.plan
        events = ", ".join(
            f"{e.victim} {e.action} {e.seconds:.1f} s at {e.moment.sort} {e.moment.value:.2g}" for e in plan.events
        )
        manner = f"{'' if plan.polite else ' rude'}{' +next' if plan.together else ''}{' calm' if plan.calm else ''}"
        return (
            f"push {self.number} of {PRODUCT}: {plan.damage}{manner}, retries {plan.retries}; {events or 'no events'}"
        )
