"""How users of a demo world react to the places of a list that an app shows them: a position-based model.

    P(user reacts to source at position k) = examination(k) · attraction(user, source)

    examination(k) = k^−steepness of the surface, so 1 at the top
    attraction     = curiosity + (delight − curiosity) · fit · appeal, times the effect of the arm, at most 1

A place is reacted to if it is examined and attracts, independently of the others: the examination hypothesis
(Richardson, Dominowska & Ragno 2007; Craswell et al. 2008), with the form of examination of Joachims, Swaminathan &
Schnabel (2017). `fit` is the share of the user's taste in communities of the source, `appeal` is in
`deploy/demo/truth.py`. Who examines which position, and who likes what they examine, is drawn per visit and position
before any list is known: the same visit of another list is another list, not another chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from deploy.demo.ranked import Indices, Marks
from deploy.demo.tastes import Population
from deploy.demo.truth import WorldError
from deploy.demo.volume import EVENTS

Chances = NDArray[np.float64]

CLICK, JOIN = EVENTS.index("click"), EVENTS.index("join")
_AFTER_A_CLICK = {"like": 0.25, "comment": 0.05, "share": 0.04, "click": 1.0, "join": 0.3, "leave": 0.0}
_SECOND = 1_000_000


@dataclass(frozen=True)
class Surface:
    """A place in the app where lists are shown."""

    name: str
    places: int
    """How many places of a list it shows."""
    steepness: float
    """How fast examination falls with position."""
    share: float
    """Share of the visits that come to it."""


SURFACES = (Surface("discover", places=10, steepness=0.7, share=0.7), Surface("sidebar", 4, 1.0, share=0.3))
"""The surfaces of the demo's app."""


@dataclass(frozen=True)
class Habits:
    """How many users come back, and how they react; the parameters that a simulation may plant."""

    visits_per_user: float = 0.15
    """Visits on a day ÷ users; the active ones come more often, idle ones never."""
    rendered: float = 0.95
    """Share of the answers that are shown; the others are answered to an app that was closed meanwhile."""
    curiosity: float = 0.004
    """Attraction of a source that does not please at all."""
    delight: float = 0.2
    """Attraction of a source that pleases fully."""
    effects: Mapping[str, float] = field(default_factory=dict)
    """Arm → factor of the attraction of what is shown in it; 1 where it is not named."""
    surfaces: Sequence[Surface] = SURFACES

    def __post_init__(self) -> None:
        shares = {"rendered": self.rendered, "curiosity": self.curiosity, "delight": self.delight}
        if wrong := {name: value for name, value in shares.items() if not 0 <= value <= 1}:
            raise WorldError(f"habits are shares from 0 to 1, and not {wrong}")
        if self.visits_per_user < 0 or any(effect < 0 for effect in self.effects.values()):
            raise WorldError("visits_per_user and effects are 0 or more")
        if not self.surfaces or any(s.places < 1 or s.steepness < 0 or s.share < 0 for s in self.surfaces):
            raise WorldError("a surface shows at least one place, and its steepness and share are 0 or more")

    @property
    def places(self) -> int:
        """The most places that a surface shows."""
        return max(surface.places for surface in self.surfaces)


@dataclass(frozen=True)
class Luck:
    """The random numbers of V visits with up to K places each, all drawn before anything is shown."""

    rendered: Chances
    """(V,)"""
    examined: Chances
    """(V, K)"""
    attracted: Chances
    """(V, K)"""
    events: Chances
    """(V, K, len(EVENTS))"""
    seconds: Chances
    """(V, K, len(EVENTS))"""

    @classmethod
    def draw(cls, rng: Generator, visits: int, places: int) -> "Luck":
        """Draws the luck of a day's visits."""
        shapes = ((visits,), (visits, places), (visits, places), *[(visits, places, len(EVENTS))] * 2)
        return cls(*(rng.random(shape) for shape in shapes))


@dataclass(frozen=True)
class Shown:
    """P places that were shown, ordered by visit and position."""

    visits: Indices
    """(P,) number of the visit."""
    ranks: Indices
    """(P,) 0 for the best; position − 1."""
    users: Indices
    """(P,) position of the user in the world."""
    sources: Indices
    """(P,) position of the source in the world."""
    steepness: Chances
    """(P,) of the surface."""
    effect: Chances
    """(P,) of the arm."""


@dataclass(frozen=True)
class Reactions:
    """What users did with P shown places, and with which probabilities: the truth that no estimator sees."""

    examination: Chances
    attraction: Chances
    examined: Marks
    reacted: Marks
    events: Marks
    """(P, len(EVENTS)) which events a reaction consists of; a click is always among them."""
    delays: Indices
    """(P, len(EVENTS)) microseconds after the visit began."""

    @property
    def probability(self) -> Chances:
        """(P,) of a reaction."""
        return self.examination * self.attraction


def examination(ranks: Indices, steepness: Chances | float) -> Chances:
    """Returns the probability that a user looks at the places with these ranks (0: the first)."""
    return np.asarray((ranks + 1.0) ** -np.asarray(steepness))


def attraction(population: Population, users: Indices, sources: Indices, habits: Habits) -> Chances:
    """Returns (P,) the probability that a user reacts to a source that they look at, before the effect of an arm."""
    truth = population.truth
    fit = np.einsum("ij,ij->i", truth.tastes[users], truth.traits[sources] > 0)
    pleases = np.minimum(fit, 1) * truth.appeal(users, sources)
    return np.asarray(habits.curiosity + (habits.delight - habits.curiosity) * pleases, np.float64)


def react(population: Population, shown: Shown, unmoved: Marks, luck: Luck, habits: Habits) -> Reactions:
    """Returns how users react; to places marked in `unmoved` (blocked or closed sources) nobody does."""
    at = (shown.visits, shown.ranks)
    seen = examination(shown.ranks, shown.steepness)
    attracts = attraction(population, shown.users, shown.sources, habits) * shown.effect
    attracts = np.where(unmoved, 0.0, np.minimum(attracts, 1.0))
    examined = luck.examined[at] < seen
    reacted = examined & (luck.attracted[at] < attracts)
    events = (luck.events[at] < [_AFTER_A_CLICK[name] for name in EVENTS]) & reacted[:, None]
    begin = np.where(np.arange(len(EVENTS)) == CLICK, 2.0, 20.0) + 8.0 * shown.ranks[:, None]
    delays = (begin + np.where(np.arange(len(EVENTS)) == CLICK, 5.0, 240.0) * luck.seconds[at]) * _SECOND
    return Reactions(seen, attracts, examined, reacted, events, delays.astype(np.int64))
