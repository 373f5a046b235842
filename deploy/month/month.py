"""The month: Mondays by the real commands, and the days between, on which users come."""

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from conf.ids import UserId, arm_of
from conf.simulated_clock import SimulatedClock
from deploy.chain import ChainFailed, running_service
from deploy.demo.http_lists import HttpLists
from deploy.demo.life import Life
from deploy.demo.partitions import write_partition
from deploy.demo.visits import DayVisited, visit
from deploy.month.commands import STOPPED_BY_THE_RAMP, Commands
from deploy.month.planted import planted_reactions
from deploy.month.plot import Week

_MORNING = dt.time(0, 20)
"""When Mondays begin: the answers of Sunday are landed as a whole 15 minutes after it."""
_KEPT = 0.2
"""Part of the subscriptions that a corrupted snapshot has."""


@dataclass(frozen=True)
class Lived:
    """A week that is over."""

    week: Week
    decision: str
    """What the ramp has decided before its run."""
    served: bool
    """Whether its run serves; False: a gate stopped it."""
    pointer: dict[str, Any]
    """What served in it."""
    visited: tuple[DayVisited, ...]
    planted: float
    """Reactions per treated user that the planted effect has added."""


@dataclass
class Month:
    """A world, its clock and its product."""

    home: Path
    life: Life
    clock: SimulatedClock
    commands: Commands
    say: Callable[[str], None]
    weeks: list[Lived] = field(default_factory=list)
    last_decision: str = ""
    """What the ramp has decided after the last week."""

    def begin(self) -> None:
        """Lets the first run serve everybody, a week before the month begins."""
        self.say("a first run, before there are experiments")
        before = self.life.world.as_of - dt.timedelta(weeks=1)
        if not self.commands.weekly_run(before, "--first"):
            raise ChainFailed(f"the first run was stopped: see {self.commands.log}")

    def live(self, week: Week) -> None:
        """Lives a week: its Monday, then seven days of visits. Raises ChainFailed if it goes otherwise than planned."""
        self._monday(week.first_day)
        if week.opens:
            self._open(week)
        decision, share = self._decide(week.first_day)
        if share is None:
            raise ChainFailed(f"week {week.number}: there is to be no run: {decision}")
        with broken_subscriptions(self.life, week.first_day) if week.corrupted else nullcontext():
            self.say(f"week {week.number}: {decision}; the weekly run as of {week.first_day}")
            served = self.commands.weekly_run(week.first_day, "--audience-share", f"{share:g}")
        if served == week.corrupted:
            how = "serves" if served else "was stopped"
            raise ChainFailed(f"week {week.number}: the run {how}, against the plot: see {self.commands.log}")
        pointer = self.commands.discovery("status")["pointer"]
        how = "" if served else "a gate stopped the run; "
        self.say(f"week {week.number}: {how}{pointer['treatment']} serves {pointer['share_bp'] / 100:g} %; users come")
        visited = self._days(week)
        self.weeks.append(Lived(week, decision, served, pointer, visited, self._planted(week, pointer)))

    def end(self) -> None:
        """Measures the last week, and decides. Raises ChainFailed if the last experiment is not stopped."""
        monday = self.weeks[-1].week.first_day + dt.timedelta(weeks=1)
        self._monday(monday)
        self.last_decision, share = self._decide(monday)
        self.say(self.last_decision)
        if share is not None:
            raise ChainFailed(f"the last experiment should have been stopped: {self.last_decision}")

    def report(self, name: str) -> Any:
        """Returns what is known of an experiment, and writes its page."""
        return self.commands.discovery("experiment", "report", name, "--page", str(self.page(name)))

    def page(self, name: str) -> Path:
        """Returns the page of an experiment."""
        return self.home / f"{name}.html"

    def _decide(self, day: dt.date) -> tuple[str, float | None]:
        """Returns what the ramp decides in words, and the share of the run; None: there is to be none."""
        words = ("experiment", "decide", "--as-of", str(day))
        told = self.commands.discovery(*words, codes=(0, STOPPED_BY_THE_RAMP))
        made = told["decision"]
        return f"{made['action']} at {made['share_bp'] / 100:g} %: {'; '.join(made['reasons'])}", told["audience_share"]

    def _monday(self, day: dt.date) -> None:
        """Lands and measures the week before, if there was one."""
        self.clock.set(dt.datetime.combine(day, _MORNING, dt.UTC))
        if self.weeks:
            self.say(f"{day}: landing and measuring the week before")
            self.commands.discovery("exposures", "land")
            self.commands.measure(day - dt.timedelta(days=1))

    def _open(self, week: Week) -> None:
        if self.weeks:
            self.commands.discovery("experiment", "close", "--reason", "it has been decided")
        base = self.commands.product
        overlays = (base.overlays[0], week.experiment.overlay)
        self.commands.product = replace(base, overlays=overlays)
        self.say(f"week {week.number}: experiment {week.experiment.name} is opened")
        self.commands.discovery("experiment", "open", week.experiment.name, "--first-day", str(week.first_day))

    def _days(self, week: Week) -> tuple[DayVisited, ...]:
        start, commands = time.monotonic(), self.commands
        log = self.home / "serve.log"
        with running_service(commands.product, commands.environment, log) as url:
            lists = HttpLists(url, self.life.world.ids, clock=self.clock)
            found = tuple(visit(self.life, day, lists, week.experiment.habits) for day in week.days)
        commands.seconds["days of visits"] = commands.seconds.get("days of visits", 0.0) + time.monotonic() - start
        return found

    def _planted(self, week: Week, pointer: dict[str, Any]) -> float:
        users = cast("list[UserId]", self.life.population.truth.user_ids.to_pylist())
        treated = sum(arm_of(user, pointer["salt"]) < pointer["share_bp"] for user in users)
        effect = week.experiment.effect
        return planted_reactions(self.life.folder / "_truth", week.days, effect, treated) if treated else 0.0


@contextmanager
def broken_subscriptions(life: Life, monday: dt.date) -> Iterator[None]:
    """Lets the newest snapshot of subscriptions lack most of its rows, as after an export that broke off."""
    sunday = monday - dt.timedelta(days=1)
    partition = life.folder / "subscriptions" / f"dt={sunday}"
    aside = life.folder / "_truth" / "subscriptions"
    shutil.copytree(partition, aside)
    whole = pq.ParquetFile(partition / "part-0.parquet").read()
    write_partition(partition.parent, sunday, whole.slice(0, round(_KEPT * whole.num_rows)))
    try:
        yield
    finally:
        shutil.rmtree(partition)
        shutil.move(aside, partition)
