"""Draws what happens in a demo world on one day, given who follows what in the morning.

A pair of a user and a source is one number, user position · S + source position, with S sources.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from deploy.demo.ranked import Indices, Marks
from deploy.demo.tastes import Population
from deploy.demo.volume import EVENTS

_LIKE, _COMMENT, _SHARE, _CLICK, _JOIN, _LEAVE = range(len(EVENTS))
_NOISE = {"reactions": 0.05, "clicks": 0.2}  # share drawn by popularity, whatever the taste
_HABIT = 0.35  # share of reactions and clicks drawn from what the user follows
_SUBSCRIPTIONS_PER_USER = 12  # drawn before the first day; about half of them please


@dataclass(frozen=True)
class Happened:
    """Events of one dataset and day: the pair of each, and its name as a position in EVENTS."""

    pairs: Indices
    events: Indices


@dataclass(frozen=True)
class Day:
    """The events of each dataset on one day, and the sorted pairs (user, followed source) in the evening."""

    datasets: dict[str, Happened]
    subscriptions: Indices


def draw_day(
    population: Population, subscriptions: Indices, day: int, counts: NDArray[np.float64], rng: Generator
) -> Day:
    """Draws about `counts` (of each of EVENTS) on the `day`-th day; somewhat fewer joins when few sources are left."""
    alive = population.alive_on(day)
    names = counts[[_LIKE, _COMMENT, _SHARE]]
    reactions, clicks = (
        _visits(population, alive, subscriptions, day, round(count), _NOISE[name], rng)
        for name, count in (("reactions", names.sum()), ("clicks", counts[_CLICK]))
    )
    joined = _joins(population, alive, subscriptions, day, round(counts[_JOIN]), rng)
    left = _leaves(population, subscriptions, round(counts[_LEAVE]), rng)
    moves, mixed = np.concatenate([joined, left]), rng.permutation(len(joined) + len(left))
    kinds = rng.choice([_LIKE, _COMMENT, _SHARE], size=len(reactions), p=names / names.sum())
    datasets = {
        "reactions": Happened(reactions, kinds),
        "clicks": Happened(clicks, np.full(len(clicks), _CLICK)),
        "joins": Happened(moves[mixed], np.where(mixed < len(joined), _JOIN, _LEAVE)),
    }
    kept = subscriptions[~contains(np.sort(left), subscriptions)]
    return Day(datasets, np.sort(np.concatenate([kept, joined])))  # np.setdiff1d would cost more than all the rest


def first_subscriptions(population: Population, rng: Generator) -> Indices:
    """Draws the sorted pairs (user, followed source) before the first day; idle users follow sources, too."""
    there = population.users_on(-1)
    count = _SUBSCRIPTIONS_PER_USER * there
    anybody = rng.integers(0, there, count)
    users = np.where(rng.random(count) < 0.5, anybody, population.draw_users(rng, count, -1))
    pairs = np.unique(_loved(population, population.alive_on(0), users, rng))
    return pairs[~contains(population.blocks.pairs, pairs)]


def _joins(
    population: Population, alive: Marks, subscriptions: Indices, day: int, count: int, rng: Generator
) -> Indices:
    """Draws at most `count` different new pairs that follow taste, in the order of drawing."""
    pairs = _loved(population, alive, population.draw_users(rng, 8 * count, day), rng)
    pairs = pairs[~contains(subscriptions, pairs) & ~contains(population.blocks.pairs, pairs)]
    return pairs[np.sort(np.unique(pairs, return_index=True)[1])[:count]]


def _visits(
    population: Population, alive: Marks, subscriptions: Indices, day: int, count: int, noise: float, rng: Generator
) -> Indices:
    """Draws `count` pairs of an active user with a source: one they follow, one of their taste, or a popular one."""
    starts = np.searchsorted(subscriptions, np.arange(population.users + 1) * population.sources)
    drawn = np.zeros(0, np.int64)
    while len(drawn) < count:
        users = population.draw_users(rng, 2 * (count - len(drawn)) + 100, day)
        why, follows = rng.random(len(users)), starts[users] < starts[users + 1]
        habit = users[(why < _HABIT) & follows]
        chance = users[why >= 1 - noise]
        taste = users[(why < 1 - noise) & ~((why < _HABIT) & follows)]
        followed = starts[habit] + (rng.random(len(habit)) * (starts[habit + 1] - starts[habit])).astype(np.int64)
        popular = chance * population.sources + population.draw_popular(rng, len(chance))
        known = np.concatenate([subscriptions[followed], popular])
        known = known[alive[known % population.sources]]
        drawn = np.concatenate([drawn, known, _loved(population, alive, taste, rng)])
    return rng.permutation(drawn)[:count]


def _loved(population: Population, alive: Marks, users: Indices, rng: Generator) -> Indices:
    """Draws a pair for each of `users`, and leaves out those whose source is closed or displeases the user."""
    sources = population.draw_loved(rng, users)
    pleased = alive[sources] & (rng.random(len(users)) < population.truth.appeal(users, sources))
    return (users * population.sources + sources)[pleased]


def _leaves(population: Population, subscriptions: Indices, count: int, rng: Generator) -> Indices:
    """Draws at most `count` different pairs of `subscriptions`, more often those that please less."""
    pairs = rng.permutation(subscriptions)[: 3 * count]
    appeal = population.truth.appeal(*np.divmod(pairs, population.sources))
    return pairs[rng.random(len(pairs)) > appeal][:count]


def contains(sorted_pairs: Indices, pairs: Indices) -> Marks:
    """Returns which of `pairs` are among `sorted_pairs`."""
    return np.asarray(np.append(sorted_pairs, -1)[np.searchsorted(sorted_pairs, pairs)] == pairs)
