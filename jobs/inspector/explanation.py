"""What is said of a user: frozen value objects, which `discovery explain` and the inspector's page show."""

import datetime as dt
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from conf.ids import UserId
from models.explain.rules import Rule

SourceId = UserId
Kind = Literal["personal", "popular", "shadow", "fallback", "none"]
"""A list by the user's factors; the fallback list without the user's exclusions; a shadow list, which is never
published; the run's fallback list, since the user has no list of their own; no list of this run."""
State = Literal["known", "unknown", "forgotten"]


@dataclass(frozen=True)
class EventCount:
    """Events of a user with a source on one day, as the daily partials hold them."""

    dataset: str
    day: dt.date
    event: str
    source: SourceId
    events: int
    amount: float
    """Σ of the weight column; the number of events without one."""
    factor: float
    """Weight of the event's name, decayed by its age."""

    @property
    def weight(self) -> float:
        """What they add to the pair's weight."""
        return self.amount * self.factor


@dataclass(frozen=True)
class Pair:
    """The user and one source that they had events with."""

    source: SourceId
    weight: float | None
    """In the table of interactions; None: it is no interaction, its events add up to nothing or less."""
    summed: float | None
    """Σ of the weights of its events; None: their daily partials are gone."""
    last: dt.datetime | None
    confidence: float | None
    """In the training; None: the source had no factors, or nothing is said of contributions."""

    @property
    def agrees(self) -> bool | None:
        """Whether the events add up to the weight that was trained on; None: it cannot be said."""
        if self.summed is None:
            return None
        held = 0.0 if self.weight is None else self.weight
        return (self.summed <= 0 and self.weight is None) or abs(self.summed - held) <= 1e-9 * max(1.0, abs(held))


@dataclass(frozen=True)
class Contribution:
    """What one pair adds to the score of a source."""

    source: SourceId
    """The other source of the pair: because of this one."""
    value: float


@dataclass(frozen=True)
class Score:
    """A source's score, and what it is made of: contributions, others and the remainder add up to it."""

    value: float
    contributions: tuple[Contribution, ...]
    """Of single pairs, the largest first, at most MOST_CONTRIBUTIONS; empty where nothing is said of them."""
    others: float
    """Σ of the contributions of all other pairs."""
    other_pairs: int
    remainder: float | None
    """What pairs do not explain: the user's factors are half a step older; None where there are no contributions."""

    def shown(self, most: int = 3, decimals: int = 4) -> "ShownScore":
        """Returns it as text that adds up exactly: what is cut from the contributions is with the others."""
        unit = 10**decimals

        def text(number: int) -> str:
            return f"{'−' if number < 0 else ''}{abs(number) // unit}.{abs(number) % unit:0{decimals}}"

        value, parts = round(self.value * unit), [round(one.value * unit) for one in self.contributions[:most]]
        rest = math.fsum((self.others, *(one.value for one in self.contributions[most:])))
        pairs, others = self.other_pairs + len(self.contributions[most:]), round(rest * unit)
        remainder = None if self.remainder is None else text(value - sum(parts) - others)
        named = tuple(zip((one.source for one in self.contributions), map(text, parts), strict=False))
        return ShownScore(text(value), named, text(others), pairs, remainder)


MOST_CONTRIBUTIONS = 20
"""Contributions to a score that are named."""


@dataclass(frozen=True)
class ShownScore:
    """A score as text; parts, others and remainder add up to it."""

    value: str
    parts: tuple[tuple[SourceId, str], ...]
    others: str
    other_pairs: int
    remainder: str | None


@dataclass(frozen=True)
class Without:
    """What a place rests on: the user folded in anew, as if they had never had to do with some sources."""

    sources: tuple[SourceId, ...]
    """Those whose absence lowers the place most, of the sets that were tried."""
    place: int
    """Folded in anew with every interaction, among the best sources that the user's own list may hold."""
    place_without: int
    """The same without them."""

    @property
    def falls(self) -> bool:
        """Whether the place rests on them; if not, no set that was tried changes it."""
        return self.place_without > self.place


@dataclass(frozen=True)
class Listed:
    """One place of the user's list."""

    rank: int
    source: SourceId
    score: Score
    without: Without | None = None
    """None: nothing is said of contributions, or the user has too few interactions to leave some out."""


@dataclass(frozen=True)
class Absent:
    """A source that is not in the list, and the first rule that kept it out."""

    source: SourceId
    rank: int | None
    """By score among all sources with factors, from 1; None: it has no score."""
    score: float | None
    rule: Rule
    detail: str
    """What the rule was about, e.g. "3 of category sport are in the list before it"; may be empty."""


@dataclass(frozen=True)
class SourceAnswer:
    """Why one source is, or is not, in the list."""

    source: SourceId
    listed: Listed | None
    absent: Absent | None
    """None if it is listed, or not known at all."""
    rank: int | None
    """By score among all sources with factors."""
    score: Score | None
    beaten_by: int | None
    """Sources of the list that are better; None without a score."""
    last_listed: float | None
    """Score of the last source in the list."""
    eligible: bool | None
    """None: the run does not know the source."""
    category: str | None
    owner: UserId | None
    users: int | None
    """Users with an interaction with it."""


@dataclass(frozen=True)
class Row:
    """A list as something holds it."""

    source_ids: tuple[SourceId, ...]
    scores: tuple[float, ...]
    """As many, or none if they are not published."""


@dataclass(frozen=True)
class Stored:
    """What Redis says now."""

    row: Row | None
    """The value under the user in this run, decoded; None: there is none."""
    state: str | None
    """State of the run in Redis; None: Redis does not know the run."""
    arm: str | None
    """The user's arm by the pointer of now; None: nothing is published."""
    serving: str | None
    """The run that a look-up answers with now; None: no run of ours."""
    answer: str
    """What a look-up answers: list, fallback, control, none; or why it cannot."""
    served: tuple[SourceId, ...]
    """The sources that a look-up answers with now."""
    matches: bool | None
    """Whether `row` is that of the run, bit for bit; None: nothing to compare."""


@dataclass(frozen=True)
class Before:
    """The same user in the run that served before this one."""

    run: str
    kind: Kind
    row: Row | None
    fault: str | None
    """Why nothing is said of it: its folder is gone, or was changed."""


@dataclass(frozen=True)
class Basis:
    """What the user's factors were made of."""

    run: str
    """The run whose interactions made them: in a refresh, of users of the training, an earlier one."""
    algorithm: str
    started: str
    """cold, warm, or refresh."""
    fault: str | None
    """Why nothing is said of contributions; None: they are."""


@dataclass(frozen=True)
class UserExplanation:
    """Everything that is said of one user in one run."""

    product: str
    user: UserId
    run: str | None
    """None: of a forgotten user, and no run was asked for."""
    as_of: dt.date | None
    announced: dt.datetime | None
    """When the run was published; None: it was not."""
    age_seconds: float | None
    state: State
    """unknown: no table of the run has the user; forgotten: nothing is said."""
    kind: Kind
    in_share: bool
    """Whether the run covers the user at all, by its share and salt."""
    arm: str
    """treatment or control, by the share that the run was made for."""
    basis: Basis | None
    """None: the user has no factors."""
    events: tuple[EventCount, ...]
    """By dataset, then the newest first."""
    missing_days: tuple[tuple[str, dt.date], ...]
    """Days of the windows whose daily partials are gone, or were made of other data since: (dataset, day)."""
    pairs: tuple[Pair, ...]
    """The largest weight first."""
    excluded: dict[str, int]
    """Reason → number of sources that the list must not hold."""
    row: Row | None
    """The list of the run; None: the run has none for the user."""
    listed: tuple[Listed, ...]
    absent: tuple[Absent, ...]
    """Sources with a better score than the last one listed that are not in the list, the best first; cut to some."""
    absent_by_rule: dict[str, int]
    """Rule → how many of them there are in all."""
    rebuilt: bool | None
    """Whether the list that the rules make of the factors now is that of the run; None: nothing to make it of."""
    stored: Stored | None
    """None: Redis was not asked."""
    before: Before | None
    source: SourceAnswer | None
    """Of the source that was asked about."""

    @property
    def largest_remainder(self) -> float | None:
        """Largest |remainder| ÷ score of the list; None where there are no contributions."""
        shares = [
            abs(one.score.remainder) / abs(one.score.value)
            for one in self.listed
            if one.score.remainder is not None and one.score.value
        ]
        return max(shares, default=None)

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name, ready for JSON."""
        return asdict(self)
