"""How many events of each name happen on each day of a demo world: weekdays, a yearly season, a trend, and noise."""

import datetime as dt

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from deploy.demo.ranked import Indices
from deploy.demo.tastes import World

EVENTS = ("like", "comment", "share", "click", "join", "leave")
DATASETS = {"reactions": ("like", "comment", "share"), "clicks": ("click",), "joins": ("join", "leave")}
"""Event dataset → names of its events."""
_SHARES = (0.3375, 0.0675, 0.045, 0.5, 0.042, 0.008)  # of all events, in the order of EVENTS
_WEEK = (0.90, 0.88, 0.88, 0.92, 1.05, 1.25, 1.20)  # Monday to Sunday
_YEAR = 365.25
_OWN_NOISE = 0.3  # of a dataset or an event name, per week and per day, in units of the noise that all share
_STREAM = 1  # of random numbers that no other draw takes


def daily_events(world: World, later: int = 0) -> NDArray[np.float64]:
    """Returns (days + later, len(EVENTS)) expected counts; those of the world's own days add up to its events.

    later: days from `as_of` on; their counts depend on how many are asked for, as noise is drawn for all at once.
    """
    rng = default_rng([world.seed, 0, _STREAM])
    day = np.arange(world.days + later)
    level = np.log(_WEEK)[(world.first_day.weekday() + day) % 7] + world.trend * day / 7
    phase = rng.random()
    level = level + np.log1p(world.season * np.sin(2 * np.pi * (_day_of_the_year(world, day) / _YEAR + phase)))
    weeks = (world.first_day.weekday() + day) // 7  # the ISO week of each day, counted from the first
    shares = np.exp(level[:, None] + world.noise * _noise(weeks, rng)) * _SHARES
    return np.asarray(world.events * shares / shares[: world.days].sum())


def _noise(weeks: Indices, rng: Generator) -> NDArray[np.float64]:
    """Returns (days, len(EVENTS)) normal noise: of the week, and a smaller one of each dataset and of each name."""
    shared = rng.standard_normal(weeks[-1] + 1)[weeks, None]
    dataset = [place for event in EVENTS for place, names in enumerate(DATASETS.values()) if event in names]
    of_datasets, of_names = (_own(weeks, columns, rng) for columns in (len(DATASETS), len(EVENTS)))
    return np.asarray(shared + _OWN_NOISE * (of_datasets[:, dataset] + of_names))


def _own(weeks: Indices, columns: int, rng: Generator) -> NDArray[np.float64]:
    of_weeks, of_days = (rng.standard_normal((rows, columns)) for rows in (weeks[-1] + 1, len(weeks)))
    return np.asarray(of_weeks[weeks] + of_days)


def _day_of_the_year(world: World, days: Indices) -> Indices:
    dates = (world.first_day + dt.timedelta(days=int(day)) for day in days)
    return np.array([date.timetuple().tm_yday for date in dates])
