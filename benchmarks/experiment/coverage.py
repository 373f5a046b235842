"""How often intervals hold the truth: four weeks at a quarter share, beside weeks taken as independent."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from numpy.random import Generator
from scipy.special import ndtri

from benchmarks.experiment.worlds import KINDS, Pool, pool_of
from models.experiment.effects import Effect, NoEffect, Week, effect_of
from models.experiment.moments import Slice

WEEKS, SHARE_BP, POOL = 4, 2_500, 200_000
Z = float(ndtri(0.975))


@dataclass
class Coverage:
    """How many of the intervals held the truth."""

    metric: str
    correlation: float
    users: int
    """Of the treated arm; the other is three times as large."""
    rounds: int = 0
    ours: int = 0
    rival: int = 0
    """Weeks as if they were other users each."""
    width: float = field(default=0.0, repr=False)

    @property
    def shares(self) -> tuple[float, float]:
        """Ours and the rival's."""
        return self.ours / self.rounds, self.rival / self.rounds


def coverage(metrics: Sequence[str], correlation: float, users: int, rounds: int, rng: Generator) -> Iterator[Coverage]:
    """Yields the coverage of the plain, CUPED and relative intervals of each kind of metric."""
    for name in metrics:
        pool = pool_of(KINDS[name], correlation, WEEKS, POOL, rng)
        yield from _of_pool(name, pool, correlation, users, rounds, rng)


def _of_pool(
    name: str, pool: Pool, correlation: float, users: int, rounds: int, rng: Generator
) -> tuple[Coverage, ...]:
    weeks = [Week(number, SHARE_BP) for number in range(1, pool.weeks + 1)]
    plain, cuped, lift = (Coverage(f"{name}{what}", correlation, users) for what in ("", ", CUPED", ", relative"))
    for _ in range(rounds):
        moments = {
            Slice(0, SHARE_BP): pool.moments(rng.integers(0, POOL, users), treated=True),
            Slice(SHARE_BP, 10_000): pool.moments(rng.integers(0, POOL, 3 * users), treated=False),
        }
        found = [effect_of(moments, weeks, ratio=pool.ratio, cuped=with_before) for with_before in (False, True)]
        alone = [effect_of(moments, [week], ratio=pool.ratio) for week in weeks]
        _count(plain, found[0], alone, pool)
        _count(cuped, found[1], alone, pool)
        _count_lift(lift, found[0], alone, pool)
    return plain, cuped, lift
