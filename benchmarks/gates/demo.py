"""The demo's world week by week: its events, and its snapshots in the evening before each run, as they grow."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import default_rng

from benchmarks.gates.past import WEEK, Events, Past, SnapshotRows, Snapshots, Weights, window_days
from conf.load import load_settings
from deploy.chain import REPO
from deploy.demo.events import Happened, draw_day, first_subscriptions
from deploy.demo.ranked import Indices
from deploy.demo.tastes import Population, World, plant
from deploy.demo.volume import EVENTS, daily_events

FIRST_RUN = 28
"""Days of events before the first run."""
_EPOCH = dt.date(1970, 1, 1)


def demo_past(world: World) -> Past:
    """Returns the product of `conf/prod_discovery.yml` in that world, run weekly after the first 28 days of events."""
    settings, first_day = load_settings(REPO / "conf/prod_discovery.yml"), (world.first_day - _EPOCH).days
    lived = _live(world)
    weights = np.array([settings.interactions.event_weights[event] for event in EVENTS])
    end = first_day + world.days
    return Past(
        name="demo",
        ids=world.ids,
        events={name: _events(days, lived.population, first_day, weights) for name, days in lived.events.items()},
        windows={name: window_days(settings, name, end) for name in lived.events},
        snapshots=lambda run: lived.evening(run - 1 - first_day),
        half_life=settings.interactions.half_life_days,
        judged_days=settings.split.holdout_days,
        kept_days=settings.runs.partials_keep_days,
        gates=settings.gates,
        runs=tuple(range(first_day + FIRST_RUN, end + 1, WEEK)),
    )


@dataclass(frozen=True)
class _Lived:
    """A world and what happened in it; days count from its first one."""

    population: Population
    events: Mapping[str, Sequence[Happened]]
    """Event dataset → events of each day."""
    subscriptions: Mapping[int, Indices]
    """Day → pairs (user, followed source) in its evening."""

    def evening(self, day: int) -> Snapshots:
        """Returns the snapshots taken in the evening of a day."""
        born = self.population.born <= day
        sources, blocks = self.population.sources, self.population.blocks
        return {
            "subscriptions": SnapshotRows(users=self.subscriptions[day] // sources),
            "sources": SnapshotRows(eligible=self.population.closed[born] > day),
            "blocks": SnapshotRows(users=blocks.pairs[blocks.days <= day] // sources),
            "audience": SnapshotRows(users=np.arange(self.population.users_on(day))),
        }


def _live(world: World) -> _Lived:
    rng = default_rng([world.seed, 0])
    population = plant(world, rng)
    subscriptions = first_subscriptions(population, rng)
    days, evenings = [], {}
    for day, counts in enumerate(daily_events(world)):
        days.append(draw_day(population, subscriptions, day, counts, default_rng([world.seed, 1 + day])))
        subscriptions = days[-1].subscriptions
        if (day + 1) % WEEK == 0:
            evenings[day] = subscriptions
    events = {name: [day.datasets[name] for day in days] for name in days[0].datasets}
    return _Lived(population, events, evenings)


def _events(
    days: Sequence[Happened],
    population: Population,
    first_day: int,
    weights: Weights,
) -> Events:
    sizes = [len(day.pairs) for day in days]
    users, sources = np.divmod(np.concatenate([day.pairs for day in days]), population.sources)
    kinds = np.concatenate([day.events for day in days])
    return Events(np.repeat(np.arange(len(days)) + first_day, sizes), users, sources, weights[kinds])
