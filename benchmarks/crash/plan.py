"""Decides what happens in each push from (seed, number of the push) alone, so that a push can be repeated."""

import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from benchmarks.crash.truth import PARTITIONS

Victim = Literal["redis", "broker", "loader", "publisher", "operator"]
Action = Literal[
    "kill", "power", "freeze", "restart",  # of processes; power: killed, and the last second's writes are lost
    "rollback", "hold", "share", "tidy",  # of the operator
]  # fmt: skip
Damage = Literal[
    "none", "lost", "lost_doubled", "other_value", "flipped", "moved", "cut", "emptied", "no_end",
    "twice", "strangers",
]  # fmt: skip

HARMLESS: frozenset[Damage] = frozenset({"none", "twice", "strangers"})
"""Damages with which a push may serve."""
_TOGETHER = 0.06
SHARES = (10_000, 10_000, 5_000, 100, 0)
"""Basis points that the operator chooses from."""

_ACTIONS: tuple[tuple[Victim, Action, int], ...] = (
    ("loader", "kill", 20),
    ("loader", "freeze", 12),
    ("loader", "restart", 6),
    ("redis", "kill", 10),
    ("redis", "power", 10),
    ("redis", "freeze", 6),
    ("redis", "restart", 3),
    ("broker", "kill", 7),
    ("broker", "freeze", 4),
    ("broker", "restart", 2),
    ("publisher", "kill", 8),
    ("publisher", "freeze", 4),
    ("operator", "rollback", 4),
    ("operator", "hold", 3),
    ("operator", "share", 4),
    ("operator", "tidy", 4),
)
DAMAGES: tuple[Damage, ...] = (
    "lost", "lost_doubled", "other_value", "flipped", "moved", "cut", "emptied", "no_end", "twice", "strangers",
)  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """A moment: seconds after the push began or was announced, a share of its lists loaded, or partitions verified."""

    sort: Literal["began", "announced", "loaded", "verified"]
    value: float


@dataclass(frozen=True)
class Event:
    """One fault: `seconds` is how long the victim stays away or frozen, `draw` a number in [0, 1)."""

    victim: Victim
    action: Action
    moment: Moment
    seconds: float
    draw: float


@dataclass(frozen=True)
class ChaosPlan:
    """What happens in one push."""

    number: int
    damage: Damage = "none"
    partition: int = 0
    """The damaged partition."""
    draw: float = 0.5
    """Which record is damaged, as a share of the partition."""
    pause: float = 0.0
    """Seconds that the publisher waits before each partition."""
    polite: bool = True
    """Whether it takes the product's lease; two pushes at once do not."""
    retries: int = 2
    """How often a publisher that failed or was killed is started again."""
    calm: bool = True
    """Whether the operator lifts the hold, restores the full share and promotes a held run before the push."""
    together: bool = False
    """Whether the next push begins at the same time."""
    events: tuple[Event, ...] = ()

    @property
    def may_serve(self) -> bool:
        """Whether its records are whole."""
        return self.damage in HARMLESS


@lru_cache(maxsize=1_000)
def plan_of(seed: int, number: int) -> ChaosPlan:
    """Returns the plan of a push; the second of two together has no events of its own."""
    dice = random.Random(f"{seed}/{number}")
    together, damaged = dice.random() < _TOGETHER, dice.random() < 0.15
    plan = ChaosPlan(
        number=number,
        damage=dice.choice(DAMAGES) if damaged else "none",
        partition=dice.randrange(PARTITIONS),
        draw=dice.random(),
        pause=dice.choice([0.0, 0.05, 0.2, 0.4]),
        polite=not together,
        retries=dice.choice([0, 1, 3]),
        calm=dice.random() < 0.7,
        together=together,
        events=tuple(_event(dice) for _ in range(dice.choices([0, 1, 2, 3], [15, 45, 30, 10])[0])),
    )
    return replace(plan, polite=False, together=False, events=()) if is_second(seed, number) else plan


def is_second(seed: int, number: int) -> bool:
    """Returns whether a push begins together with the one before it."""
    alone = number
    while alone > 0 and random.Random(f"{seed}/{alone - 1}").random() < _TOGETHER:
        alone -= 1
    return (number - alone) % 2 == 1


def order_of(seed: int, number: int) -> int:
    """Returns the place of a push in time; two together share one, since either may become the newer run."""
    return number - 1 if is_second(seed, number) else number


def _event(dice: random.Random) -> Event:
    victim, action, _ = dice.choices(_ACTIONS, [weight for _, _, weight in _ACTIONS])[0]
    moment = dice.choices(
        [
            Moment("began", dice.uniform(0, 5)),
            Moment("announced", dice.uniform(0, 5)),
            Moment("loaded", dice.random()),
            Moment("verified", dice.choice([1, 2, 4, 7, PARTITIONS, PARTITIONS])),
        ],
        [1, 3, 4, 2],
    )[0]
    seconds = dice.uniform(0.2, 3)
    if action == "freeze" and dice.random() < 0.3:  # past a loader's session, a client's time-out, a lease
        seconds = dice.uniform(11, 16)
    return Event(victim, action, moment, seconds, dice.random())
