"""Which days are measured: those that were not, that have matured since, or of which something has changed."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from conf.datasets import IMPRESSIONS, DailyDataset, EventDataset
from conf.digest import digest_of_inputs, digest_of_json
from conf.errors import ConfigError, DiscoveryError, NotYet, Refused
from conf.settings import Settings
from conf.windows import Window, midnight
from features.errors import FeaturesError, MissingDatasetError
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan, enforce_policy, plan_dataset
from features.reading.impressions import impression_fields
from features.reading.schema import check_fields
from jobs.exposures.store import has_arrived
from jobs.outcomes.store import Record

EXPOSURES = "exposures"
_VERSION = 3
"""Of the rules; days that were measured by others are measured again."""


class NoAnswers(ConfigError):
    """There is nothing that says what was answered or shown."""


class ListsGone(Refused):
    """The folder of a run whose lists would count as given is deleted."""


class NotLanded(NotYet):
    """The answers of the day have not arrived yet."""


@dataclass(frozen=True)
class DayPlan:
    """One day to measure, with what its record will say of its input."""

    day: dt.date
    through: dt.date
    mature: bool
    new_is_known: bool
    inputs: str


@dataclass(frozen=True)
class Listing:
    """A run that the treatment got for a while."""

    since: dt.datetime
    until: dt.datetime | None
    """None: still."""
    run: str
    arms: str
    """Salt and share."""
    is_kept: bool
    """Whether its lists are still there."""

    def overlaps(self, first: dt.date, last: dt.date) -> bool:
        """Returns whether it was so at some time of these days."""
        return self.since.date() <= last and (self.until is None or self.until > midnight(first))


@dataclass(frozen=True)
class Plan:
    """What is read, and which days are measured."""

    last: dt.date
    """The day that was asked for: nothing later is read."""
    days: tuple[DayPlan, ...]
    """The oldest first; none: everything is up to date."""
    plans: Mapping[str, DatasetPlan]
    """Event dataset, EXPOSURES or IMPRESSIONS → what is read of it; exposures and impressions as far as there are."""
    datasets: Mapping[str, DailyDataset]
    refused: Mapping[dt.date, DiscoveryError]
    """Day before `last` that cannot be measured → why."""
    settings_hash: str
    listed: tuple[Listing, ...] = ()
    """Where there are neither exposures nor impressions: whose lists count as given."""


def settings_hash_of(settings: Settings) -> str:
    """Returns a hash of all settings that decide what is measured."""
    events = {
        name: {"columns": dataset.columns.model_dump(), "ignored": sorted(dataset.ignore_events)}
        for name, dataset in settings.datasets.events.items()
    }
    content = {
        "outcomes": settings.outcomes.model_dump(mode="json", exclude={"shadow_share"}),
        "events": events,
        "engaging": engaging(settings),
        "known": sorted(settings.interactions.event_weights),
        "ids": settings.ids,
        "version": _VERSION,
    }
    return digest_of_json(content)[:16]


def engaging(settings: Settings) -> list[str]:
    """Returns the names of events that are hits and new engagements: those with a positive weight."""
    return sorted(name for name, weight in settings.interactions.event_weights.items() if weight > 0)


def plan_days(
    settings: Settings,
    last: dt.date,
    catalog: Catalog,
    exposures: DailyDataset,
    landed_at: dt.datetime | None,
    known: Mapping[dt.date, Record],
    listings: Callable[[], Sequence[Listing]] = tuple,
) -> Plan:
    """Returns what is measured up to `last`, by names, markers and footers only.

    listings: what the treatment got; asked for where there are neither exposures nor impressions, and are to be none.
    Raises NoAnswers, NotLanded, and FeaturesError where `last` itself cannot be measured.
    """
    ours, first = settings.outcomes, last - dt.timedelta(days=settings.outcomes.keep_current_days - 1)
    window = Window(first - dt.timedelta(days=days_before(settings)), last + dt.timedelta(days=1))
    draft = survey(settings, window, catalog, exposures, listings)
    days, refused = list[DayPlan](), dict[dt.date, DiscoveryError]()
    for day in (window.end - dt.timedelta(days=i) for i in range(ours.keep_current_days, 0, -1)):
        try:
            if (planned := _planned(draft, day, settings, landed_at, known.get(day))) is not None:
                days.append(planned)
        except (FeaturesError, NotLanded, ListsGone) as error:
            if day == last:
                raise
            refused[day] = error
    return replace(draft, days=tuple(days), refused=refused)


def survey(
    settings: Settings,
    window: Window,
    catalog: Catalog,
    exposures: DailyDataset,
    listings: Callable[[], Sequence[Listing]] = tuple,
) -> Plan:
    """Returns what there is to read of a window that ends after the last day, and no day to measure.

    Raises NoAnswers.
    """
    datasets: dict[str, DailyDataset] = {**settings.datasets.events}
    plans = {name: plan_dataset(name, dataset, window, catalog) for name, dataset in datasets.items()}
    for name, dataset, plan in _of_answers(settings, window, catalog, exposures):
        datasets[name], plans[name] = dataset, plan
    has_answers = {EXPOSURES, IMPRESSIONS} & plans.keys()
    listed = () if has_answers or settings.exposures.enabled else tuple(listings())
    if not has_answers and not listed:
        raise NoAnswers(
            f"{settings.product} has no exposures and no dataset of impressions, so nobody knows what was answered or "
            "shown; set `exposures: {enabled: true}` and land them (discovery exposures land), or name the dataset "
            "`impressions` (docs/impressions.md)"
        )
    last = window.end - dt.timedelta(days=1)
    return Plan(last, (), plans, datasets, {}, settings_hash_of(settings), listed)


def spans(plan: Plan, settings: Settings) -> Mapping[str, DatasetPlan]:
    """Returns what has to be read for the days of the plan, of which there is at least one."""
    first = plan.days[0].day - dt.timedelta(days=settings.outcomes.horizon_days)  # what they listed may be hit later
    with_past = plan.days[0].day - dt.timedelta(days=days_before(settings))
    end = max(day.through for day in plan.days) + dt.timedelta(days=1)
    return {
        name: within(one, Window(first if name in (EXPOSURES, IMPRESSIONS) else with_past, end))
        for name, one in plan.plans.items()
    }


def _of_answers(
    settings: Settings, window: Window, catalog: Catalog, exposures: DailyDataset
) -> Iterable[tuple[str, DailyDataset, DatasetPlan]]:
    try:
        plan = plan_dataset(EXPOSURES, exposures, window, catalog)
        if plan.found or plan.unfinished:
            yield EXPOSURES, exposures, plan
    except MissingDatasetError:  # nothing was landed
        pass
    shown = settings.datasets.impressions
    if shown is not None:
        plan = plan_dataset(IMPRESSIONS, shown, window, catalog)
        check_fields(IMPRESSIONS, impression_fields(shown, settings.ids), plan.found)
        yield IMPRESSIONS, shown, plan


def _planned(
    plan: Plan, day: dt.date, settings: Settings, landed_at: dt.datetime | None, known: Record | None
) -> DayPlan | None:
    """Returns a day to measure, or None if it is up to date or before everything. Raises FeaturesError, NotLanded."""
    end = day + dt.timedelta(days=settings.outcomes.horizon_days + lateness(settings))
    through = min(end, plan.last)
    if not _has_answers(plan, day, landed_at) and not _has_lists(plan, day):
        return None
    if known is not None and _holds(known, plan, through, settings):
        return None
    if gone := sorted({one.run for one in plan.listed if one.overlaps(day, through) and not one.is_kept}):
        raise ListsGone(
            f"the folder of run {', '.join(gone)}, whose lists count as given on {day} and after it, is deleted; "
            "log exposures (docs/exposures.md), which outlive runs"
        )
    span = Window(day, through + dt.timedelta(days=1))
    for name in settings.datasets.events:
        enforce(plan, name, span)
    if IMPRESSIONS in plan.plans and (day == plan.last or EXPOSURES not in plan.plans):
        enforce(plan, IMPRESSIONS, Window(day, day + dt.timedelta(days=1)))
    return DayPlan(
        day=day,
        through=through,
        mature=through == end,
        new_is_known=is_whole(plan, Window(day - dt.timedelta(days=settings.outcomes.new_days), day), settings),
        inputs=_inputs(plan, day, through, settings),
    )


def _holds(known: Record, plan: Plan, through: dt.date, settings: Settings) -> bool:
    """Returns whether a measured day is as it would be measured now, or was measured with more than is read now."""
    if known.settings_hash != plan.settings_hash or known.through < through:
        return False
    return known.through > plan.last or known.inputs == _inputs(plan, known.day, known.through, settings)


def _has_answers(plan: Plan, day: dt.date, landed_at: dt.datetime | None) -> bool:
    """Returns whether something was answered or shown, or nothing for certain. Raises NotLanded."""
    found = [one for name in (EXPOSURES, IMPRESSIONS) if (one := plan.plans.get(name)) is not None]
    if EXPOSURES in plan.plans:
        check_landed(plan, day, landed_at)
    first = min((day for one in found for day in _days(one)), default=dt.date.max)
    return first <= day


def _has_lists(plan: Plan, day: dt.date) -> bool:
    """Returns whether the treatment had got a run by the end of the day."""
    return any(one.since.date() <= day for one in plan.listed)


def check_landed(plan: Plan, day: dt.date, landed_at: dt.datetime | None) -> None:
    """Raises NotLanded if exposures of a day may still come."""
    mine = plan.plans[EXPOSURES]
    is_over = landed_at is not None and has_arrived(day, landed_at)
    if day in mine.unfinished or (day not in _days(mine) and not is_over):
        raise NotLanded(
            f"answers of {day} are not landed as a whole yet; let `discovery exposures land` run after that day, "
            "then start again"
        )


def lateness(settings: Settings) -> int:
    """Returns how many days later than they happened events may come."""
    late = (one.lateness_days for one in settings.datasets.events.values() if one.day_of == "ingestion")
    return max(late, default=0)


def enforce(plan: Plan, name: str, span: Window) -> None:
    """Raises FeaturesError if more is missing than the dataset allows, in proportion to its own window."""
    dataset = plan.datasets[name]
    own = Window.parse(dataset.window, plan.last) if isinstance(dataset, EventDataset) else span
    allowed = dataset.max_missing_days * max(1, -(-len(span.days) // len(own.days)))
    enforce_policy(within(plan.plans[name], span), dataset.model_copy(update={"max_missing_days": allowed}))


def is_whole(plan: Plan, span: Window, settings: Settings) -> bool:
    """Returns whether no more events are missing than the datasets allow."""
    try:
        for name in settings.datasets.events:
            enforce(plan, name, span)
    except FeaturesError:
        return False
    return True


def within(plan: DatasetPlan, span: Window) -> DatasetPlan:
    """Returns what a plan has of a window."""
    return replace(
        plan,
        window=span,
        found=tuple(partition for partition in plan.found if partition.day in span),
        missing=tuple(day for day in plan.missing if day in span),
        unfinished=tuple(day for day in plan.unfinished if day in span),
        empty=tuple(day for day in plan.empty if day in span),
        excluded={day: why for day, why in plan.excluded.items() if day in span},
    )


def _days(plan: DatasetPlan) -> set[dt.date]:
    return {partition.day for partition in plan.found} | {*plan.empty}


def days_before(settings: Settings) -> int:
    """Returns how many days of events before a day decide its figures: by what is new, or who was a robot."""
    return max(settings.outcomes.new_days, settings.outcomes.horizon_days)


def _inputs(plan: Plan, day: dt.date, through: dt.date, settings: Settings) -> str:
    """Returns a digest of every partition that decides the figures of a day."""
    first = day - dt.timedelta(days=days_before(settings))
    answered = day - dt.timedelta(days=settings.outcomes.horizon_days)
    partitions = [
        (f"{name}/{partition.day}", partition.fingerprint)
        for name in sorted(plan.plans)
        for partition in plan.plans[name].found
        if (answered if name in (EXPOSURES, IMPRESSIONS) else first) <= partition.day <= through
    ]
    listed = [(f"{one.run}/{one.since}", one.arms) for one in plan.listed if one.overlaps(day, through)]
    return digest_of_inputs([*partitions, *listed])
