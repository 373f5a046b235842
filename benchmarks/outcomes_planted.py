"""Do 95 % intervals of outcomes hold what was planted, and do lists without any effect look like one?

    python -m benchmarks.outcomes_planted [--worlds 500] [--users 4000] [--seed 1] [--json]

Worlds of a week: users differ in how often they come and in how much they like, come back with the same taste, reload,
see the top of a list more than its end; the share of the treatment is doubled within the week. Beside each interval its
rival, which takes every hit for independent. Of 500 intervals of 95 %, 93 to 97 % should cover.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import positive
from conf import text_table
from conf.contract import USER_GROUPS, outcomes
from models.outcomes.figures import Figures, incremental_hits
from models.outcomes.intervals import Interval

DAYS, PLACES = 7, 10
SEEN = 1 / np.arange(1, PLACES + 1) ** 0.7
"""Chance that a user looks at a place of a list."""
LEVELS = np.array([0.7, 0.6, 0.6, 0.6, 0.7, 1.0, 0.9])
"""How much of what they like users do on each day; the share is doubled before the week-end."""
SHARES = np.array([0.25] * 4 + [0.5] * 3)
SAMPLE = 0.4
"""Share of the audience that gets shadow lists while it is not treated."""
EFFECT = 0.2
"""Share of hits that would not have been without lists, in worlds where lists have an effect."""
_WEIGHT, _COMES, _RELOADS, _LIKES = np.array(
    [
        (0.60, 0.15, 0.3, 0.02),  # share of the users, chance to come on a day, further answers on it, mean liking
        (0.30, 0.40, 1.0, 0.05),
        (0.10, 0.90, 3.0, 0.12),
    ]
).T
_SPREAD = 6.0
"""Σ of both parameters of the beta distribution of likings among users of a kind."""


@dataclass(frozen=True, eq=False)
class World:
    """What the users of one week did."""

    treated: NDArray[np.bool_]
    """(users, days)."""
    sampled: NDArray[np.bool_]
    """Whether a user gets shadow lists while not treated (users,)."""
    answers: NDArray[np.int64]
    """(users, days)."""
    hits: NDArray[np.bool_]
    """Whether a user finds the source at that place of their list on that day (users, days, places)."""


def make_world(random: np.random.Generator, users: int, effect: float = 0.0) -> World:
    """Returns a week of users drawn anew; effect: share of the treatment's hits that lists have made."""
    kind = random.choice(len(_WEIGHT), users, p=_WEIGHT)
    likes = random.beta(_LIKES[kind] * _SPREAD, (1 - _LIKES[kind]) * _SPREAD)
    comes = random.random((users, DAYS)) < _COMES[kind][:, None]
    answers = comes * (1 + random.poisson(_RELOADS[kind][:, None], (users, DAYS)))
    treated = random.random((users, 1)) < SHARES
    alone = np.where(treated, 1, 1 - effect)  # what they find of it without lists
    chance = (likes[:, None] * LEVELS * alone)[:, :, None] * SEEN
    hits = comes[:, :, None] & (random.random((users, DAYS, PLACES)) < chance)
    return World(treated, random.random(users) < SAMPLE, answers, hits)


def planted_rate() -> float:
    """Returns the treatment's hits per answer as planted."""
    hits = (_WEIGHT * _COMES * _LIKES).sum() * SEEN.sum()
    return float(hits / (_WEIGHT * _COMES * (1 + _RELOADS)).sum() * np.average(LEVELS, weights=SHARES))


def planted_effect(effect: float) -> float:
    """Returns the treatment's incremental hits per user and day as planted."""
    hits = (_WEIGHT * _COMES * _LIKES).sum() * SEEN.sum()
    return float(effect * hits / (_WEIGHT * _COMES).sum() * np.average(LEVELS, weights=SHARES))


def rows_of(world: World, group: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Yields what measuring yields `by` all, as far as it is used; group: of each user (users,)."""
    numbers = {"users": world.answers > 0, "answers": world.answers, "hits": world.hits.sum(axis=2)}
    arms = {"treatment": world.treated, "shadow": ~world.treated & world.sampled[:, None]}
    for arm, members in arms.items():
        for day in range(DAYS):
            sums = {name: some[:, day] * members[:, day] for name, some in numbers.items()}
            groups = {name: np.bincount(group, some, USER_GROUPS).astype(np.int64) for name, some in sums.items()}
            yield {
                **dict.fromkeys(outcomes().names),
                **{"day": day, "basis": "answered", "run": "run", "arm": arm, "by": "all"},
                **{name: int(some.sum()) for name, some in sums.items()},
                **{f"group_{name}": some.tolist() for name, some in groups.items()},
            }


def coverage(worlds: int, users: int, seed: int) -> dict[str, dict[str, float]]:
    """Returns for each interval how often it covers what was planted, and how it compares with its rival."""
    found: dict[str, list[tuple[Interval, Interval, float]]] = {}
    for random in np.random.default_rng(seed).spawn(worlds):
        group = random.integers(0, USER_GROUPS, users)
        for effect in (0.0, EFFECT):
            rows = list(rows_of(make_world(random, users, effect), group))
            ours, shadow = (_sums(rows, arm) for arm in ("treatment", "shadow"))
            if not effect:
                rival = _independent(ours.hits or 0, ours.answers)
                found.setdefault("hits per answer", []).append((_known(ours.interval), rival, planted_rate()))
            made, name = incremental_hits(rows), f"incremental hits, {effect:.0%} planted"
            assert made is not None
            rival = _independent(ours.hits or 0, ours.users, shadow.hits or 0, shadow.users)
            found.setdefault(name, []).append((made.difference, rival, planted_effect(effect)))
    return {name: _summary(some) for name, some in found.items()}


def _sums(rows: list[dict[str, Any]], arm: str) -> Figures:
    return Figures.sum(row for row in rows if row["arm"] == arm)


def _known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def _independent(hits: float, per: float, others: float = 0, per_others: float = 1) -> Interval:
    """Returns the rival: a rate, or a difference of two, as if every hit were independent of all others."""
    half = 1.96 * (hits / per**2 + others / per_others**2) ** 0.5
    value = hits / per - others / per_others
    return Interval(value, value - half, value + half)


def _summary(some: list[tuple[Interval, Interval, float]]) -> dict[str, float]:
    errors = np.array([ours.value - truth for ours, _, truth in some])
    return {
        "covered": float(np.mean([ours.covers(truth) for ours, _, truth in some])),
        "rival's": float(np.mean([rival.covers(truth) for _, rival, truth in some])),
        "wider by": float(np.mean([_width(ours) / _width(rival) for ours, rival, _ in some])),
        "bias / s": float(errors.mean() / errors.std()),
    }


def _width(one: Interval) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low


def main() -> None:
    """Prints how often the intervals cover."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("worlds", 500), ("users", 4000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=positive, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = coverage(asked.worlds, asked.users, asked.seed)
    if asked.json:
        sys.stdout.write(json.dumps({"worlds": asked.worlds, "users": asked.users, "intervals": found}) + "\n")
        return
    rows = [(name, *(f"{number:.3f}" for number in numbers.values())) for name, numbers in found.items()]
    sys.stdout.write(text_table.table(rows, ("95 % interval of", *next(iter(found.values())))) + "\n")


if __name__ == "__main__":
    main()
