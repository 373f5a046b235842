"""Draws the people and the sources of a demo world: who loves what, who is active, which sources live when."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.random import Generator
from numpy.typing import NDArray

from conf.ids import IdKind
from deploy.demo.ranked import Ids, Indices, Marks
from deploy.demo.truth import Floats, Truth, WorldError

CATEGORIES = (
    "music", "football", "cooking", "travel", "games", "cars", "gardening", "films",
    "science", "fishing", "fashion", "books", "pets", "humour", "history", "programming",
)  # fmt: skip
"""The communities, from the largest to the smallest."""

_COMMUNITIES_OF_A_USER = 3  # at most
_NUANCES = 6
_NUANCE_STRENGTH = 1.6  # standard deviation of the logit of an appeal
_POPULARITY_SPREAD = 1.0  # standard deviation of log popularity
_ACTIVITY_SPREAD = 1.0  # likewise of activity
_IDLE_USERS = 0.03  # share of users without any event
_NEWBORN = 0.15  # share of the sources that were created while the events happened
_DYING = 0.08  # share of the sources that closed meanwhile


@dataclass(frozen=True)
class World:
    """The parameters of a demo world; the same parameters produce the same bytes."""

    users: int = 20_000
    """Number of users; a few have no events."""
    sources: int = 3_000
    """Number of sources that ever lived."""
    days: int = 35
    """Days of events; the last one is the day before `as_of`."""
    as_of: dt.date = dt.date(2026, 11, 16)
    """The day on which the weekly job looks at the world."""
    seed: int = 7
    """Seed of every random draw."""
    events: int = 1_500_000
    """Events of all datasets together, up to rounding."""
    ids: IdKind = "int64"
    """Kind of user and source ids."""

    def __post_init__(self) -> None:
        least = {"users": 10, "sources": 2 * len(CATEGORIES), "days": 1, "seed": 0, "events": 100}
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise WorldError(f"{name} {getattr(self, name)} is too small for a world: use at least {limit}")

    @property
    def first_day(self) -> dt.date:
        """The day of the first events."""
        return self.as_of - dt.timedelta(days=self.days)


@dataclass(frozen=True)
class Population:
    """A world before anything happens in it: U users, S sources; days count from the first day of events."""

    truth: Truth
    communities: Indices
    """(U, 3) communities of a user."""
    steps: Floats
    """(U, 2) share of the first of them, and of the first two."""
    activity: NDArray[np.float64]
    """(U,) cumulative share of a user in all events."""
    members: Indices
    """Positions of sources, ordered by community; a source stands once for each of its communities."""
    ladder: NDArray[np.float64]
    """As long as `members`: community + cumulative share of the source in it."""
    popularity: NDArray[np.float64]
    """(S,) cumulative share of a source in everything."""
    born: Indices
    """(S,) day on which a source was created, the day before its first events; negative: before the first day."""
    closed: Indices
    """(S,) first day on which a source is closed; the number of days: never."""
    category: Indices
    """(S,) position in CATEGORIES."""
    owner: Indices
    """(S,) the user who owns it."""

    @property
    def users(self) -> int:
        """U."""
        return len(self.truth.user_ids)

    @property
    def sources(self) -> int:
        """S."""
        return len(self.truth.source_ids)

    def alive_on(self, day: int) -> Marks:
        """Returns (S,) which sources are open during the whole `day`-th day."""
        return (self.born < day) & (day < self.closed)

    def draw_users(self, rng: Generator, count: int) -> Indices:
        """Draws (count,) users, the active ones more often."""
        return np.searchsorted(self.activity, rng.random(count), side="right")

    def draw_loved(self, rng: Generator, users: Indices) -> Indices:
        """Draws a source from a community of each user, popular ones more often."""
        place = (rng.random(len(users), np.float32)[:, None] >= self.steps[users]).sum(axis=1)
        chance = rng.random(len(users), np.float32)  # float32, so that the sum never rounds up to the next community
        rung = self.communities[users, place] + chance
        return np.asarray(self.members[np.searchsorted(self.ladder, rung, side="right")])

    def draw_popular(self, rng: Generator, count: int) -> Indices:
        """Draws (count,) sources by popularity, whatever the taste."""
        return np.searchsorted(self.popularity, rng.random(count), side="right")


def plant(world: World, rng: Generator) -> Population:
    """Draws the tastes of the users, and the communities, popularity and lifetimes of the sources."""
    communities, shares = _tastes_of_users(world.users, rng)
    owned = _communities_of_sources(world.sources, rng)
    popularity = np.exp(_POPULARITY_SPREAD * rng.standard_normal(world.sources))
    weights = owned * popularity[:, None]
    born, closed = _lives(world, rng)
    tastes = np.zeros((world.users, len(CATEGORIES)))
    np.put_along_axis(tastes, communities, shares, axis=1)
    scale = np.sqrt(_NUANCE_STRENGTH) * _NUANCES**-0.25  # so that a product of two nuances has that deviation
    truth = Truth(
        user_ids=_ids("u", 1_000_000, world.users, world.ids),
        source_ids=_ids("s", 10_000, world.sources, world.ids),
        tastes=tastes.astype(np.float32),
        traits=(owned / weights.sum(axis=0)).astype(np.float32),
        user_nuances=scale * rng.standard_normal((world.users, _NUANCES), np.float32),
        source_nuances=scale * rng.standard_normal((world.sources, _NUANCES), np.float32),
        popularity=popularity.astype(np.float32),
        eligible=closed == world.days,
    )
    members, ladder = _ladder(weights)
    return Population(
        truth=truth,
        communities=communities,
        steps=(1 - shares[:, :0:-1].cumsum(axis=1)[:, ::-1]).astype(np.float32),  # 1 exactly before shares of 0
        activity=_cumulative(_activity(world.users, rng)),
        members=members,
        ladder=ladder,
        popularity=_cumulative(popularity),
        born=born,
        closed=closed,
        category=owned.argmax(axis=1),
        owner=rng.integers(0, world.users, world.sources),
    )


def _tastes_of_users(users: int, rng: Generator) -> tuple[Indices, NDArray[np.float64]]:
    """Draws (U, 3) different communities, and (U, 3) shares that add up to 1; one to three are above 0."""
    size = np.arange(1, len(CATEGORIES) + 1) ** -0.6
    keys = np.log(size) + rng.gumbel(size=(users, len(CATEGORIES)))  # draws without replacement (Gumbel top-k)
    communities = np.argsort(-keys, axis=1)[:, :_COMMUNITIES_OF_A_USER]
    count = rng.choice([1, 2, 3], size=users, p=[0.4, 0.4, 0.2])
    shares = rng.gamma(2.0, size=(users, _COMMUNITIES_OF_A_USER)) + 0.1
    shares[np.arange(_COMMUNITIES_OF_A_USER) >= count[:, None]] = 0
    return communities, shares / shares.sum(axis=1, keepdims=True)


def _communities_of_sources(sources: int, rng: Generator) -> NDArray[np.float64]:
    """Draws (S, C) shares: one community, or a main one and another; every community gets sources."""
    owned = np.zeros((sources, len(CATEGORIES)))
    main = rng.permutation(np.arange(sources) % len(CATEGORIES))
    owned[np.arange(sources), main] = 1.0
    both = np.flatnonzero(rng.random(sources) < 0.3)
    other = (main[both] + rng.integers(1, len(CATEGORIES), len(both))) % len(CATEGORIES)
    owned[both, main[both]], owned[both, other] = 0.7, 0.3
    return owned


def _lives(world: World, rng: Generator) -> tuple[Indices, Indices]:
    born = -rng.integers(1, 720, world.sources)
    new = rng.random(world.sources) < _NEWBORN
    born[new] = rng.integers(0, world.days, int(new.sum()))
    closed = np.full(world.sources, world.days)
    dying = (rng.random(world.sources) < _DYING) & ~new
    closed[dying] = rng.integers(0, world.days, int(dying.sum()))
    return born, closed


def _activity(users: int, rng: Generator) -> NDArray[np.float64]:
    activity = np.exp(_ACTIVITY_SPREAD * rng.standard_normal(users))
    activity[rng.permutation(users)[: round(_IDLE_USERS * users)]] = 0
    return activity


def _ladder(weights: NDArray[np.float64]) -> tuple[Indices, NDArray[np.float64]]:
    _, members = weights.T.nonzero()
    rungs = np.concatenate([c + _cumulative(column[column > 0]) for c, column in enumerate(weights.T)])
    return members, rungs


def _cumulative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = weights.cumsum()
    return np.asarray(steps / steps[-1])


def _ids(letter: str, first: int, count: int, kind: IdKind) -> Ids:
    """Returns ids that differ from positions and between users and sources, so that a mix-up shows."""
    numbers = np.arange(first, first + count)
    return pa.array(numbers if kind == "int64" else np.char.add(letter, numbers.astype(str)))
