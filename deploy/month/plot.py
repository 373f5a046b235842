"""What happens in the month: a better recipe, a corrupted week, a worse recipe; how users feel about it is planted."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from deploy.demo.reactions import Habits
from deploy.demo.tastes import World

HERE = Path(__file__).parent
WORLD = World(users=6_000, sources=600, days=28, as_of=dt.date(2026, 11, 2), events=200_000, newborn=0.05, dying=0.03)
"""It goes on from `as_of` for four weeks; a run a week before serves when the month begins."""
VISITS_PER_USER = 0.3


@dataclass(frozen=True)
class Experiment:
    """A recipe that is tried, and how much its users like what they are shown, beside those of the control."""

    name: str
    overlay: Path
    effect: float
    """Factor of the attraction of everything that the treated are shown."""

    @property
    def habits(self) -> Habits:
        """How users react."""
        return Habits(visits_per_user=VISITS_PER_USER, effects={"treatment": self.effect})


@dataclass(frozen=True)
class Week:
    """A week of the month."""

    number: int
    experiment: Experiment
    opens: bool = False
    """Whether the experiment is opened before its run; the one before is closed then."""
    corrupted: bool = False
    """Whether the run finds a broken snapshot of subscriptions."""

    @property
    def first_day(self) -> dt.date:
        """Its Monday, as of which its run is."""
        return WORLD.as_of + dt.timedelta(weeks=self.number - 1)

    @property
    def days(self) -> list[dt.date]:
        """Its seven days."""
        return [self.first_day + dt.timedelta(days=day) for day in range(7)]


BETTER = Experiment("better", HERE / "better.yml", effect=1.6)
WORSE = Experiment("worse", HERE / "worse.yml", effect=0.2)
WEEKS = (
    Week(1, BETTER, opens=True),
    Week(2, BETTER, corrupted=True),
    Week(3, BETTER),
    Week(4, WORSE, opens=True),
)
