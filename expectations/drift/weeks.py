"""The five weeks that the numbers of one week of new days rest on, as bits of one integer."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

WEEK = 7
PAST = 28
"""Days before a day that are its past."""
LEAST_PAST = 21
"""Fewest known days of a past that says what is new."""
_LEAST_WEEKS = 18
"""Fewest known days of three weeks that say who is regular."""


def bits(first: int, last: int) -> int:
    """Returns the bits of the days `first` to `last`, both included."""
    return ((1 << (last + 1)) - 1) & ~((1 << first) - 1)


@dataclass(frozen=True)
class Week:
    """Seven days, of which some are new, and the four weeks before them; days are counted from `first`."""

    end: dt.date
    """Day after the newest."""
    new: Mapping[str, Sequence[int]]
    """Event dataset → its new days that are known, oldest first."""
    known: Mapping[str, int]
    """Event dataset → bits of its known days."""

    @property
    def first(self) -> dt.date:
        """The oldest of the 35 days."""
        return self.end - dt.timedelta(days=WEEK + PAST)

    @classmethod
    def of(
        cls, end: dt.date, known: Mapping[str, Collection[dt.date]], new_days: Mapping[str, Collection[dt.date]]
    ) -> "Week":
        """Returns the week that ends before `end`."""
        first = end - dt.timedelta(days=WEEK + PAST)
        places = {name: {(day - first).days for day in days} for name, days in known.items()}
        new = {name: {(day - first).days for day in days} for name, days in new_days.items()}
        inside = range(PAST, PAST + WEEK)
        return cls(
            end,
            {name: sorted(at & new.get(name, set()) & {*inside}) for name, at in places.items()},
            {name: sum(1 << day for day in at if 0 <= day < PAST + WEEK) for name, at in places.items()},
        )

    def new_of(self, name: str) -> Sequence[int]:
        """Returns the new days of a dataset."""
        return self.new.get(name, ())

    def day(self, place: int) -> dt.date:
        """Returns the date of a day."""
        return self.first + dt.timedelta(days=place)

    def known_of(self, name: str, day: int) -> int:
        """Returns how many of the seven days up to `day` are known."""
        return self._known(name, day - WEEK + 1, day)

    def has_past(self, name: str, day: int) -> bool:
        """Returns whether enough is known of the four weeks before a day."""
        return self._known(name, day - PAST, day - 1) >= LEAST_PAST

    def has_weeks(self, name: str, day: int) -> bool:
        """Returns whether enough is known of the three weeks before the seven days up to `day`."""
        return self._known(name, day - PAST + 1, day - WEEK) >= _LEAST_WEEKS

    def is_whole(self, name: str, day: int) -> bool:
        """Returns whether all seven days up to `day` are known."""
        return self.known_of(name, day) == WEEK

    def _known(self, name: str, first: int, last: int) -> int:
        return (self.known[name] & bits(first, last)).bit_count()
