"""A day on which users of a demo world come back, look their lists up and react to what they are shown.

The app asks for a list per visit (`deploy.demo.lookups.Lists`: the HTTP service, or a fake of it), shows its first
places and records them in the dataset `impressions`. Reactions (`deploy/demo/reactions.py`) become ordinary events of
that day, beside what users do by themselves, which touches sources of their lists, too: who counts every event after an
exposure counts too many. What the lists caused is in `_truth/shown`, what was answered in `_truth/answers`, by day.

The same world, day, habits and answers lead to the same bytes, in whatever order the answers come.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deploy.demo.dated import Dated, LastEvents
from deploy.demo.events import Day, Happened, contains
from deploy.demo.life import Life
from deploy.demo.lookups import Entries, Lists, Told, Visits
from deploy.demo.partitions import draw_moments, event_table, pair_table, times, write_partition
from deploy.demo.ranked import Indices
from deploy.demo.reactions import JOIN, Habits, Reactions, Shown, react
from deploy.demo.volume import DATASETS, EVENTS

USUAL = Habits()
"""The habits of users unless something else is planted."""
_MOMENTS = 3  # stream of random numbers
_REACTIONS = [name for name in EVENTS if name != "leave"]


@dataclass(frozen=True)
class DayVisited:
    """What happened on a day, as far as anybody can see it, and how much of it the lists caused."""

    date: dt.date
    users: int
    """Users who came."""
    kinds: Mapping[str, int]
    """Kind of answer → answers."""
    listed: int
    """Sources in all answers."""
    shown: int
    """Sources that were shown: impressions."""
    hits_of_answers: int
    """Answered sources with which their user did something afterwards, on that day; caused by the list or not."""
    hits_of_shown: int
    """The same of shown ones."""
    caused: int
    """Shown sources that were reacted to, because they were shown."""

    @property
    def answers(self) -> int:
        """Answers."""
        return sum(self.kinds.values())


def visit(life: Life, date: dt.date, lists: Lists, habits: Habits = USUAL) -> DayVisited:
    """Lives a day on which users answer their lists, and writes what it leaves.

    Raises WorldError for a day out of order, ListsError for a list of another world, and what `lists` raises.
    """
    followed = life.followed(date)
    scene = _Scene.of(life, date, lists, habits)
    alone = life.without_lists(life.number(date), followed)
    reactions = _reactions(scene, habits, np.union1d(followed, _joined(alone)))
    by_themselves, caused = _dated(life, date, alone), _events_of(reactions, scene)
    everything = {name: by_themselves[name].beside(caused[name]) for name in DATASETS}
    _write_truth(scene, reactions, LastEvents.of(by_themselves.values()))
    tables = {name: event_table(life.population, both.happened, both.moments) for name, both in everything.items()}
    joined = np.unique(scene.pairs[reactions.events[:, JOIN]])
    life.write(date, {**tables, "impressions": _impressions(scene)}, np.union1d(alone.subscriptions, joined))
    return _counted(scene, reactions, LastEvents.of(everything.values()))


@dataclass(frozen=True)
class _Scene:
    """A day as the app sees it: who came, what was answered, what was shown."""

    life: Life
    date: dt.date
    visits: Visits
    told: Sequence[Told]
    entries: Entries
    shown: Entries

    @classmethod
    def of(cls, life: Life, date: dt.date, lists: Lists, habits: Habits) -> "_Scene":
        visits = Visits.draw(life, date, habits)
        told = lists.answers(visits.asked(life.population))
        entries = Entries.of(visits, told, life.population)
        return cls(life, date, visits, told, entries, entries.shown(visits, habits))

    @property
    def pairs(self) -> Indices:
        """(P,) user position · S + source position of each place that was shown."""
        return self.shown.pairs(self.life.population)

    @property
    def moments(self) -> Indices:
        """(P,) when it was shown."""
        return np.asarray(self.visits.moments[self.shown.visits])


def _reactions(scene: _Scene, habits: Habits, followed: Indices) -> Reactions:
    """Returns how users react; nobody joins what they follow, nor reacts to sources that are closed or blocked."""
    population, day, shown = scene.life.population, scene.life.number(scene.date), scene.shown
    steepness = np.array([surface.steepness for surface in habits.surfaces])[scene.visits.places]
    effects = np.array([habits.effects.get(one.arm, 1.0) for one in scene.told])
    places = Shown(
        shown.visits, shown.ranks, shown.users, shown.sources, steepness[shown.visits], effects[shown.visits]
    )
    blocked = population.blocks.pairs[population.blocks.days <= day]
    unmoved = np.asarray(~population.alive_on(day)[shown.sources] | contains(blocked, scene.pairs))
    return _first_joins(react(population, places, unmoved, scene.visits.luck, habits), scene.pairs, followed)


def _first_joins(reactions: Reactions, pairs: Indices, followed: Indices) -> Reactions:
    """Returns the reactions without joins of what the user follows, or has joined in a visit before."""
    wanted = np.flatnonzero(reactions.events[:, JOIN] & ~contains(followed, pairs))
    first = wanted[np.unique(pairs[wanted], return_index=True)[1]]  # visits are in the order of time
    events = reactions.events.copy()
    events[:, JOIN] = False
    events[first, JOIN] = True
    return replace(reactions, events=events)


def _joined(alone: Day) -> Indices:
    joins = alone.datasets["joins"]
    return np.asarray(joins.pairs[joins.events == JOIN])


def _events_of(reactions: Reactions, scene: _Scene) -> dict[str, Dated]:
    """Returns dataset → events that reactions consist of."""
    pairs, begin, found = scene.pairs, scene.moments, {}
    for name, events in DATASETS.items():
        rows, kinds = (reactions.events & np.isin(EVENTS, events)).nonzero()
        found[name] = Dated(Happened(pairs[rows], kinds), begin[rows] + reactions.delays[rows, kinds])
    return found


def _dated(life: Life, date: dt.date, alone: Day) -> dict[str, Dated]:
    rng = life.random(life.number(date), _MOMENTS)
    return {name: Dated(some, draw_moments(date, len(some.pairs), rng)) for name, some in alone.datasets.items()}


def _impressions(scene: _Scene) -> pa.Table:
    """Returns one row per source that was shown, ordered by time and position."""
    at, table = scene.shown.visits, pair_table(scene.life.population, scene.pairs)
    columns = {
        "ts": times(scene.moments),
        "position": pa.array(scene.shown.ranks + 1, pa.int32()),
        "run": pa.array([one.run for one in scene.told], pa.string()).take(at),
        "surface": scene.visits.names.take(at),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    return table


def _write_truth(scene: _Scene, reactions: Reactions, by_themselves: LastEvents) -> None:
    """Writes what was answered, and for each impression why it was reacted to; the event columns are of reactions."""
    columns: dict[str, NDArray[Any]] = {
        "examination": reactions.examination,
        "attraction": reactions.attraction,
        "probability": reactions.probability,
        "examined": reactions.examined,
        "reacted": reactions.reacted,
        **{name: reactions.events[:, EVENTS.index(name)] for name in _REACTIONS},
        "by_itself": by_themselves.after(scene.pairs, scene.moments),
    }
    table = _impressions(scene)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    write_partition(scene.life.folder / "_truth" / "shown", scene.date, table)
    write_partition(scene.life.folder / "_truth" / "answers", scene.date, _answers(scene))


def _answers(scene: _Scene) -> pa.Table:
    truth, told = scene.life.population.truth, scene.told
    return pa.table(
        {
            "user_id": truth.user_ids.take(scene.visits.users),
            "ts": times(scene.visits.moments),
            "surface": scene.visits.names,
            "arm": pa.array([one.arm for one in told], pa.string()),
            "kind": pa.array([one.kind for one in told], pa.string()),
            "run": pa.array([one.run for one in told], pa.string()),
            "share_bp": pa.array([one.share_bp for one in told], pa.int32()),
            "source_ids": pa.array([list(one.source_ids) for one in told], pa.list_(truth.source_ids.type)),
        }
    )


def _counted(scene: _Scene, reactions: Reactions, last: LastEvents) -> DayVisited:
    def hits(some: Entries) -> int:
        return int(last.after(some.pairs(scene.life.population), scene.visits.moments[some.visits]).sum())

    return DayVisited(
        date=scene.date,
        users=len(np.unique(scene.visits.users)),
        kinds=dict(sorted(Counter(one.kind for one in scene.told).items())),
        listed=len(scene.entries.visits),
        shown=len(scene.shown.visits),
        hits_of_answers=hits(scene.entries),
        hits_of_shown=hits(scene.shown),
        caused=int(reactions.reacted.sum()),
    )
