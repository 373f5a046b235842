"""What an experiment has shown until now: mismatch first, then carry-over, guardrails and effects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conf.errors import Refused
from conf.experiment import Experiment
from conf.judging import JudgingSettings
from conf.settings import Settings
from jobs.experiments.guardrails import guardrails_of, harms_of, mismatch_in
from jobs.experiments.weeks import SumsRecord, WeekOfSums, WeekStore, notes_on
from models.experiment.decide import ALPHA, Guardrail, Harm, Looks, decided
from models.experiment.effects import Effect, Interval, NoEffect, Week, baseline_of, effect_of, is_carried_over
from models.experiment.metric import Metric
from models.experiment.mismatch import Mismatch
from models.experiment.moments import Moments, Slice
from models.experiment.plan import planned_information
from models.experiment.sequential import FAR

SomeMoments = Mapping[Slice, Moments]
_NOT_MEASURED = "not measured: nobody did any of it"


def judging_of(settings: Settings, experiment: Experiment) -> JudgingSettings:
    """Returns what an experiment is judged by: what it pinned when it was opened."""
    return experiment.judged_by or settings.experiment


class NothingMeasured(Refused):
    """No week of the experiment was measured yet."""


@dataclass(frozen=True)
class Reading:
    """The effect over the weeks until one of them, with intervals that hold together at all looks."""

    week: int
    difference: float
    interval: Interval | None
    """None: the look may spend nothing, so early is it."""
    lift: float | None
    """None: the control is not above 0."""
    lift_interval: Interval | None


@dataclass(frozen=True)
class Result:
    """One metric."""

    metric: str
    treated: float
    control: float
    """Mean per user of the audience and week, or ratio; weighted means over the weeks."""
    weeks: tuple[int, ...]
    """Weeks in it."""
    left_out: tuple[tuple[int, str], ...]
    """Weeks that are not, and why."""
    readings: tuple[Reading, ...]
    """The newest last; at least one."""
    informed: float
    """Part of the information that is planned for the end."""
    state: Literal["more", "less", "undecided", "shown"]
    """shown: it decides nothing."""
    carried_over: bool
    """Whether both arms differed before anybody was treated."""

    @property
    def newest(self) -> Reading:
        """The newest look."""
        return self.readings[-1]


@dataclass(frozen=True)
class NoResult:
    """A metric without a number, and why."""

    metric: str
    reason: str


AnyResult = Result | NoResult


@dataclass(frozen=True)
class Report:
    """What an experiment has shown."""

    experiment: Experiment
    judged_by: JudgingSettings
    record: SumsRecord
    seen: Mismatch
    """Users who were answered, each in the week first answered."""
    audience: Mismatch
    """Users of the audience, each in the week of joining it."""
    effects: tuple[AnyResult, ...] | None
    """None: there is a mismatch, so that no effect is to be believed."""
    others: tuple[AnyResult, ...]
    """Metrics that were asked for and decide nothing."""
    categories: Mapping[str, tuple[AnyResult, ...]]
    """Metric → each of its categories or kinds of events, those with the most first; they decide nothing."""
    harms: tuple[Harm, ...]
    notes: tuple[str, ...]

    @property
    def is_mismatch(self) -> bool:
        """Whether no effect is shown."""
        return self.effects is None

    @property
    def carried_over(self) -> list[str]:
        """Metrics in which both arms differed before anybody was treated."""
        return [
            one.metric for one in (*(self.effects or ()), *self.others) if isinstance(one, Result) if one.carried_over
        ]

    @property
    def looks(self) -> int:
        """Weeks that were looked at."""
        return min(self.record.week, self.judged_by.weeks)


@dataclass(frozen=True)
class Reporting:
    """What a report is made of."""

    experiment: Experiment
    record: SumsRecord
    """Of the newest week."""
    store: WeekStore
    judged_by: JudgingSettings
    guardrails: Sequence[Guardrail] = ()
    steps_bp: Sequence[int] = ()
    """Shares to come, if there is a ramp."""
    asked_for: Sequence[str] = ()
    """Further metrics that are to be shown."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        experiment: Experiment,
        record: SumsRecord,
        store: WeekStore,
        asked_for: Sequence[str] = (),
    ) -> "Reporting":
        """Returns what a report is made of by a product's settings, unless the experiment has pinned them."""
        ramp = settings.rollout.ramp
        return cls(
            experiment=experiment,
            record=record,
            store=store,
            judged_by=judging_of(settings, experiment),
            guardrails=guardrails_of(ramp),
            steps_bp=[] if ramp is None else [step.bp for step in ramp.steps],
            asked_for=asked_for,
        )

    def report(self) -> Report:
        """Returns the report; raises DamagedSums."""
        seen, audience = mismatch_in(self.record, "first_seen"), mismatch_in(self.record, "joined")
        unbelieved = seen.found or audience.found
        looks: dict[str, Looks | NoEffect] = {} if unbelieved else {name: self._looks(name) for name in self._names}
        crossed = decided({name: one for name in self.judged_by.metrics if isinstance(one := looks.get(name), Looks)})
        found = {name: self._result(name, one, is_decided=name in crossed) for name, one in looks.items()}
        return Report(
            experiment=self.experiment,
            judged_by=self.judged_by,
            record=self.record,
            seen=seen,
            audience=audience,
            effects=None if unbelieved else tuple(found[name] for name in self.judged_by.metrics),
            others=tuple(found[name] for name in self._others if name in found),
            categories={} if unbelieved else dict(self._categories(found)),
            harms=() if unbelieved else tuple(harms_of(self.record, self._moments, self.guardrails)),
            notes=tuple(self._notes()),
        )

    @cached_property
    def _others(self) -> list[str]:
        return [name for name in dict.fromkeys(self.asked_for) if name not in self.judged_by.metrics]

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """Each metric of the settings → what it is split by."""
        known = [(name, Metric.parse(name)) for name in self.record.metrics]
        return {
            name: [full for full, part in known if part.name == whole.name and part.by and not whole.by]
            for name in (*self.judged_by.metrics, *self._others)
            for whole in [Metric.parse(name)]
        }

    @cached_property
    def _names(self) -> list[str]:
        parts = (part for parts in self._parts.values() for part in parts)
        return list(dict.fromkeys([*self.judged_by.metrics, *self._others, *parts]))

    @cached_property
    def _moments(self) -> dict[str, dict[Slice, Moments]]:
        """Every metric that is wanted, from one reading of the file."""
        guarded = (guardrail.metric for guardrail in self.guardrails)
        return self.store.moments(self.record, {*self._names, *guarded})

    def _weeks(self, metric: str) -> list[Week]:
        """Returns the weeks that count for a metric, as far as they were planned."""
        weeks = [week for week in self.record.weeks[1:] if week.number <= self.judged_by.weeks]
        return [Week(week.number, week.share_bp or 0) for week in weeks if week.new_is_known or not _is_new(metric)]

    def _looks(self, name: str) -> Looks | NoEffect:
        """Returns the effects after each week, or why there is none."""
        moments, weeks = self._moments.get(name), self._weeks(name)
        if not moments:
            return NoEffect(_NOT_MEASURED)
        if not weeks:
            return NoEffect("which engagements are new is not known in any week: the days before are missing")
        how = {"ratio": _is_ratio(name), "cuped": self.judged_by.cuped}
        newest = effect_of(moments, weeks, **how)
        if isinstance(newest, NoEffect):
            return newest
        earlier = [effect_of(moments, newest.weeks[:last], **how) for last in range(1, len(newest.weeks))]
        looks = (*(look for look in earlier if isinstance(look, Effect)), newest)
        planned = tuple(self._planned(name, pooled(moments), look) for look in looks)
        return Looks(looks, planned, is_last=self.record.week >= self.judged_by.weeks)

    def _planned(self, name: str, everybody: Moments, look: Effect) -> float:
        """Returns the information that was to be expected at the last look when this one was made."""
        newest = look.weeks[-1]
        to_come = shares_to_come(newest.share_bp, self.steps_bp, max(0, self.judged_by.weeks - newest.number))
        return planned_information(everybody, look, to_come, ratio=_is_ratio(name), cuped=self.judged_by.cuped)

    def _result(self, name: str, looks: Looks | NoEffect, *, is_decided: bool) -> AnyResult:
        if isinstance(looks, NoEffect):
            return NoResult(name, str(looks))
        newest = looks.effects[-1]
        sign: Literal["more", "less"] = "more" if newest.difference.value > 0 else "less"
        before = baseline_of(self._moments[name], newest.weeks[-1], ratio=_is_ratio(name))
        known = {week.number for week in self._weeks(name)}
        unknown = [
            (week.number, "which engagements are new is not known")
            for week in self.record.weeks[1:]
            if week.number not in known and week.number <= self.judged_by.weeks
        ]
        return Result(
            metric=name,
            treated=newest.treated.value,
            control=newest.control.value,
            weeks=tuple(week.number for week in newest.weeks),
            left_out=tuple(sorted([*((week.number, reason) for week, reason in newest.left_out), *unknown])),
            readings=tuple(_reading(*look) for look in zip(looks.effects, looks.bounds(ALPHA).z, strict=True)),
            informed=min(1.0, 1 / newest.difference.variance / looks.planned[-1]),
            state=sign if is_decided else "undecided" if name in self.judged_by.metrics else "shown",
            carried_over=isinstance(before, Effect) and is_carried_over(before),
        )

    def _categories(self, found: Mapping[str, AnyResult]) -> Iterator[tuple[str, tuple[AnyResult, ...]]]:
        """Yields each metric with its parts, the largest first."""
        for name, parts in self._parts.items():
            if parts:
                yield name, tuple(found[part] for part in sorted(parts, key=lambda one: (-self._size(one), one)))

    def _size(self, name: str) -> float:
        """Returns how much of a metric there was in all weeks."""
        return sum(
            float(one.total[place])
            for one in self._moments.get(name, {}).values()
            for place, variable in enumerate(one.variables)
            if variable[0] == "x"
        )

    def _notes(self) -> Iterator[str]:
        yield from notes_on(self.record)
        if self.record.week > self.judged_by.weeks:
            yield f"weeks after week {self.judged_by.weeks} were not planned, so they are in no effect"
        if mismatch_in(self.record, "robots").found:
            yield (
                "robots: both arms have a different share of them, and they are left out; raise "
                "outcomes.robots.max_events_per_day or set it to null, then measure again"
            )
        if self.record.categories_left_out:
            yield f"{self.record.categories_left_out:,} smaller categories have no sums"


def newest_sums(experiment: Experiment, store: WeekStore) -> SumsRecord:
    """Returns the newest sums of an experiment; raises NothingMeasured and DamagedSums."""
    sums = store.sums()
    if not sums:
        closed = "" if experiment.is_open else "; it was closed"
        raise NothingMeasured(
            f"experiment {experiment.name} of {experiment.product}: no week is measured yet{closed}; week 1 ends on "
            f"{experiment.last_day_of(1)}, and then jobs/measure_outcomes.py sums it up (the daily DAG starts it)"
        )
    return sums[max(sums)]


def pooled(moments: SomeMoments) -> Moments:
    """Returns the sums over the whole hash; there is at least one slice."""
    whole, *others = moments.values()
    for one in others:
        whole = whole + one
    return whole


def shares_to_come(share_bp: int, steps_bp: Sequence[int], weeks: int) -> list[int]:
    """Returns the shares of the weeks to come: a step each week, then the last one on."""
    steps = [step for step in steps_bp if step > share_bp][:weeks]
    return steps + [(steps or [share_bp])[-1]] * (weeks - len(steps))


def _reading(effect: Effect, z: float) -> Reading:
    told = z < FAR
    return Reading(
        week=effect.weeks[-1].number,
        difference=effect.difference.value,
        interval=effect.interval(z) if told else None,
        lift=effect.lift,
        lift_interval=effect.lift_interval(z) if told else None,
    )


def _is_ratio(name: str) -> bool:
    return Metric.parse(name).parts is not None


def _is_new(name: str) -> bool:
    """Returns whether a metric counts engagements that are new."""
    return "new" in Metric.parse(name).name


def dates_of(weeks: Sequence[WeekOfSums]) -> str:
    """Returns from when to when weeks are; there is at least one."""
    return f"{weeks[0].first} to {weeks[-1].last}"
