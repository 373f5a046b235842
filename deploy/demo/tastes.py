"""Draws the people and the sources of a demo world: who loves what, who is active, which sources live when."""

import datetime as dt
from dataclasses import dataclass, replace

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
COUNTRIES = ("US", "DE", "FR", "IT", "ES", "PL", "NL", "SE", "AT", "CH", "PT", "DK")
"""The countries, from the largest to the smallest."""

_COMMUNITIES_OF_A_USER = 3  # at most
_NUANCES = 6
_NUANCE_STRENGTH = 1.6  # standard deviation of the logit of an appeal
_POPULARITY_SPREAD = 1.0  # standard deviation of log popularity
_ACTIVITY_SPREAD = 1.0  # likewise of activity
_IDLE_USERS = 0.03  # share of users without any event
_SMALLER = 0.65  # users of a country ÷ those of the next larger one
_BLOCKS_PER_USER = 0.1
_NEVER = np.iinfo(np.int64).max


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
    countries: int = len(COUNTRIES)
    """Number of countries, of which a user has one, whatever the taste; the largest has 35 % of the users."""
    newcomers: float = 0.02
    """Share of the users who join while the events happen."""
    newborn: float = 0.15
    """Share of the sources that are created meanwhile."""
    dying: float = 0.08
    """Share of the sources that close meanwhile."""
    season: float = 0.2
    """Events at the yearly peak, relative to the mean, less 1."""
    trend: float = 0.0
    """Growth of the events per week, on a log scale."""
    noise: float = 0.08
    """Standard deviation of the log events of a week; what datasets, event names and days have of their own is less."""

    def __post_init__(self) -> None:
        least = {"users": 10, "sources": 2 * len(CATEGORIES), "days": 1, "seed": 0, "events": 100, "countries": 1}
        shares = dict.fromkeys(("newcomers", "newborn", "dying", "season", "noise"), 0.0)
        for name, limit in (least | shares | {"trend": -1.0}).items():
            if getattr(self, name) < limit:
                raise WorldError(f"{name} {getattr(self, name)} is too small for a world: use at least {limit}")
        most = dict.fromkeys(shares, 0.9) | {"countries": len(COUNTRIES), "trend": 1.0}
        for name, limit in most.items():
            if getattr(self, name) > limit:
                raise WorldError(f"{name} {getattr(self, name)} is too large for a world: use at most {limit}")

    @property
    def first_day(self) -> dt.date:
        """The day of the first events."""
        return self.as_of - dt.timedelta(days=self.days)


@dataclass(frozen=True)
class Blocks:
    """Sources that displease users, who block them one day and never follow them."""

    pairs: Indices
    """Sorted; each is user position · S + source position."""
    days: Indices
    """The day of each; −1: before the first."""


@dataclass(frozen=True)
class Population:
    """A world before anything happens in it: U users, S sources; days count from the first day of events."""

    truth: Truth
    joined: Indices
    """(U,) day on which a user joined, ascending; −1: before the first day."""
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
    """(S,) first day on which a source is closed; the largest number: never."""
    category: Indices
    """(S,) position in CATEGORIES."""
    owner: Indices
    """(S,) the user who owns it."""
    blocks: Blocks

    @property
    def users(self) -> int:
        """U."""
        return len(self.truth.user_ids)

    @property
    def sources(self) -> int:
        """S."""
        return len(self.truth.source_ids)

    def users_on(self, day: int) -> int:
        """Returns how many users have joined by the evening of the `day`-th day: the first ones."""
        return int(np.searchsorted(self.joined, day, side="right"))

    def alive_on(self, day: int) -> Marks:
        """Returns (S,) which sources are open during the whole `day`-th day."""
        return (self.born < day) & (day < self.closed)

    def draw_users(self, rng: Generator, count: int, day: int) -> Indices:
        """Draws (count,) users of the `day`-th day, the active ones more often."""
        last = self.users_on(day) - 1
        drawn = np.searchsorted(self.activity, rng.random(count) * self.activity[last], side="right")
        return np.asarray(np.minimum(drawn, last))  # a product may round up

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
    """Draws the tastes of the users, the communities, popularity and lifetimes of the sources, and who blocks what."""
    communities, shares = _tastes_of_users(world.users, rng)
    owned = _communities_of_sources(world.sources, rng)
    popularity = np.exp(_POPULARITY_SPREAD * rng.standard_normal(world.sources))
    weights = owned * popularity[:, None]
    born, closed = _lives(world, rng)
    joined = _joined(world, rng)
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
        eligible=closed == _NEVER,
        countries=_countries(world, rng),
    )
    members, ladder = _ladder(weights)
    population = Population(
        truth=truth,
        joined=joined,
        communities=communities,
        steps=(1 - shares[:, :0:-1].cumsum(axis=1)[:, ::-1]).astype(np.float32),  # 1 exactly before shares of 0
        activity=_cumulative(_activity(world.users, rng)),
        members=members,
        ladder=ladder,
        popularity=_cumulative(popularity),
        born=born,
        closed=closed,
        category=owned.argmax(axis=1),
        owner=(rng.random(world.sources) * np.searchsorted(joined, born.clip(-1), side="right")).astype(np.int64),
        blocks=Blocks(np.zeros(0, np.int64), np.zeros(0, np.int64)),
    )
    return replace(population, blocks=_blocks(population, world, rng))


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
    new = rng.random(world.sources) < world.newborn
    born[new] = rng.integers(0, world.days, int(new.sum()))
    closed = np.full(world.sources, _NEVER)
    dying = (rng.random(world.sources) < world.dying) & ~new
    closed[dying] = rng.integers(0, world.days, int(dying.sum()))
    return born, closed


def _joined(world: World, rng: Generator) -> Indices:
    joined = np.full(world.users, -1)
    count = round(world.newcomers * world.users)
    joined[world.users - count :] = np.sort(rng.integers(0, world.days, count))
    return joined


def _countries(world: World, rng: Generator) -> Ids:
    sizes = _SMALLER ** np.arange(world.countries)
    return pa.array(COUNTRIES).take(rng.choice(world.countries, world.users, p=sizes / sizes.sum()))


def _blocks(population: Population, world: World, rng: Generator) -> Blocks:
    """Draws sources that displease; half of the blocks are from before the first day."""
    count = round(_BLOCKS_PER_USER * world.users)
    users = population.draw_users(rng, 4 * count, world.days)
    sources = population.draw_popular(rng, 4 * count)
    displeased = np.flatnonzero(rng.random(4 * count) > population.truth.appeal(users, sources))[:count]
    pairs = np.unique(users[displeased] * world.sources + sources[displeased])
    users, sources = np.divmod(pairs, world.sources)
    drawn = rng.integers(-world.days, world.days, len(pairs)).clip(-1)
    return Blocks(pairs, np.maximum(drawn, np.maximum(population.joined[users], population.born[sources])))


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
