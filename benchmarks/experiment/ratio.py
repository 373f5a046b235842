"""Sample-ratio mismatch over weekly looks: false alarms and power, beside tests that are often used."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, default_rng
from scipy.special import betaln, ndtri

from models.experiment.mismatch import ALARM, FirstSeen, mismatch_of
from models.experiment.moments import WHOLE_BP

NEW_USERS, SHARE_BP, LOOKS = 250_000, 2_500, 12


@dataclass(frozen=True)
class Alarms:
    """How often a mismatch was found by the last look."""

    case: str
    looks: int
    rounds: int
    ours: float
    mixture: float
    """A beta-binomial mixture's e-value at the same limit, its prior worth 10,000 users."""
    repeated: float
    """A z-test of all users seen so far at .001, at each look."""

    def __str__(self) -> str:
        rivals = f"beta-binomial mixture {100 * self.mixture:.2f} %, a test at each look {100 * self.repeated:.2f} %"
        return f"{self.case}, by look {self.looks}: {100 * self.ours:.2f} % ({rivals})"


CASES: Sequence[tuple[str, int, float, float, int]] = (
    ("nothing is lost", LOOKS, 0.0, 0.0, 5),
    ("2 % of the treated are lost", 1, 0.02, 0.0, 1),
    ("1 % of the treated are lost every week", 4, 0.01, 0.0, 1),
    ("2 % of the others are lost", 1, 0.0, 0.02, 1),
    ("1 % of the others are lost every week", 4, 0.0, 0.01, 1),
)
"""What is lost, looks, share of the treated, share of the others, rounds × this."""


def alarms(rounds: int, seed: int) -> Iterator[Alarms]:
    """Yields them for each case."""
    for place, (case, looks, treated, control, times) in enumerate(CASES):
        rng = default_rng([seed, 11, place])
        hits = np.zeros(3)
        for _ in range(rounds * times):
            weeks = [_week(rng, treated, control) for _ in range(looks)]
            hits += mismatch_of(weeks).found, _any(weeks, _mixture), _any(weeks, _tested)
        yield Alarms(case, looks, rounds * times, *map(float, hits / (rounds * times)))


def _week(rng: Generator, lost_treated: float, lost_control: float) -> FirstSeen:
    treated = int(rng.binomial(NEW_USERS, SHARE_BP / WHOLE_BP))
    control = NEW_USERS - treated
    return FirstSeen(
        SHARE_BP, int(rng.binomial(treated, 1 - lost_treated)), int(rng.binomial(control, 1 - lost_control))
    )


def _any(weeks: Sequence[FirstSeen], alarm: Callable[[int, int], bool]) -> bool:
    """Returns whether an alarm that looks at all users so far rings at some look."""
    treated = np.cumsum([week.treated for week in weeks])
    users = np.cumsum([week.users for week in weeks])
    return any(alarm(int(some), int(of)) for some, of in zip(treated, users, strict=True))


def _mixture(treated: int, users: int) -> bool:
    share, worth = SHARE_BP / WHOLE_BP, 10_000
    a, b = share * worth, (1 - share) * worth
    ratio = betaln(a + treated, b + users - treated) - betaln(a, b)
    return bool(ratio - treated * np.log(share) - (users - treated) * np.log1p(-share) >= np.log(ALARM))


def _tested(treated: int, users: int) -> bool:
    share = SHARE_BP / WHOLE_BP
    return bool(abs(treated - users * share) >= -ndtri(0.0005) * np.sqrt(users * share * (1 - share)))
