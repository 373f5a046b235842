"""Look-ups of a day in a demo world: who comes when to which surface, and what the app is told."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
import pyarrow as pa

from conf.ids import UserId
from deploy.demo.life import Life
from deploy.demo.partitions import DAY_US, draw_moments, midnight
from deploy.demo.ranked import Ids, Indices, positions
from deploy.demo.reactions import Habits, Luck, Surface
from deploy.demo.tastes import Population
from deploy.demo.truth import WorldError

_VISITS, _LUCK = 1, 2  # streams of random numbers
_LONGEST_VISIT = 1_800_000_000  # microseconds; nobody comes so late that a visit ends on the next day


class Asked(NamedTuple):
    """A look-up by the app."""

    user_id: UserId
    surface: str
    moment: int = 0
    """Microseconds since 1970."""


class Told(NamedTuple):
    """What the app is told about a user; the fields are those of `publish.read.reader.Answer`."""

    arm: str
    kind: str
    run: str | None
    source_ids: Sequence[UserId] = ()
    share_bp: int = 10_000


class Lists(Protocol):
    """Whom the app asks for lists."""

    def answers(self, asked: Sequence[Asked]) -> Sequence[Told]:
        """Returns an answer for each, in the order of `asked`."""


@dataclass(frozen=True)
class Visits:
    """V visits of one day, in the order of time."""

    users: Indices
    """(V,) position of the user in the world."""
    places: Indices
    """(V,) position in `surfaces`."""
    moments: Indices
    """(V,) microseconds since 1970, ascending."""
    surfaces: Sequence[Surface]
    luck: Luck

    @classmethod
    def draw(cls, life: Life, date: dt.date, habits: Habits) -> "Visits":
        """Draws who comes on a day and how lucky each visit is, whatever lists there will be."""
        day = life.number(date)
        rng, population = life.random(day, _VISITS), life.population
        count = round(habits.visits_per_user * population.users_on(day))
        shares = np.array([surface.share for surface in habits.surfaces])
        latest = midnight(date) + DAY_US - _LONGEST_VISIT
        return cls(
            users=population.draw_users(rng, count, day),
            places=rng.choice(len(shares), size=count, p=shares / shares.sum()),
            moments=np.minimum(draw_moments(date, count, rng), latest),
            surfaces=habits.surfaces,
            luck=Luck.draw(life.random(day, _LUCK), count, habits.places),
        )

    def asked(self, population: Population) -> list[Asked]:
        """Returns the look-up of each visit."""
        users = cast("list[UserId]", population.truth.user_ids.take(self.users).to_pylist())
        names = [self.surfaces[place].name for place in self.places]
        return list(map(Asked, users, names, self.moments.tolist()))

    @property
    def names(self) -> Ids:
        """(V,) names of the surfaces."""
        return pa.array([surface.name for surface in self.surfaces]).take(self.places)


@dataclass(frozen=True)
class Entries:
    """Every source of every answer, ordered by visit and rank."""

    visits: Indices
    """Number of the visit."""
    ranks: Indices
    """0 for the best; position − 1."""
    users: Indices
    """Position of the user in the world."""
    sources: Indices
    """Position of the source in the world."""

    @classmethod
    def of(cls, visits: Visits, told: Sequence[Told], population: Population) -> "Entries":
        """Raises WorldError unless there is an answer for each visit, ListsError for sources of another world."""
        if len(told) != len(visits.users):
            raise WorldError(f"{len(visits.users)} look-ups got {len(told)} answers; each needs one, in their order")
        lengths = np.array([len(one.source_ids) for one in told], np.int64)
        rows = np.repeat(np.arange(len(told)), lengths)
        known = population.truth.source_ids
        ids = pa.array([source for one in told for source in one.source_ids], known.type)
        ranks = np.arange(len(rows)) - np.repeat(lengths.cumsum() - lengths, lengths)
        return cls(rows, ranks, visits.users[rows], positions(ids, known, "source"))

    def pairs(self, population: Population) -> Indices:
        """Returns user position · S + source position of each."""
        return np.asarray(self.users * population.sources + self.sources)

    def shown(self, visits: Visits, habits: Habits) -> "Entries":
        """Returns the first places, as many as the surface shows, of the answers that were rendered."""
        fits = np.array([surface.places for surface in visits.surfaces])[visits.places]
        rendered = visits.luck.rendered < habits.rendered
        top = (self.ranks < fits[self.visits]) & rendered[self.visits]
        return Entries(self.visits[top], self.ranks[top], self.users[top], self.sources[top])
