"""Builds the tables of the features stage from settings and a catalog."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from conf import contract
from conf.datasets import SNAPSHOTS
from conf.errors import ConfigError, DiscoveryError
from conf.settings import Settings
from features.counts import Counts, counts_of
from features.errors import (
    BadRowsError,
    MissingDatasetError,
    MissingDaysError,
    SchemaError,
    UnknownEventsError,
    WeightsError,
)
from features.exclusions import exclusions_of, sources_of
from features.interactions import check_sums, interactions_of, weigh_pairs
from features.partials import DailyPartials, check_partials, daily_partials, settings_hash_of, valid_rows
from features.reading.catalog import Catalog
from features.reading.erasures import without_users
from features.reading.snapshots import Snapshot, read_snapshot
from features.records import InputRecord, event_record, snapshot_record
from features.split import holdout_of, train_sources_of
from features.survey import EventInput, Survey, check_survey, survey_inputs
from features.tables import conform, union_of

Days = Mapping[str, Sequence[dt.date]]
"""Event dataset → days that are read from it."""
_RECIPE_FAULTS: tuple[type[DiscoveryError], ...] = (
    ConfigError,
    MissingDatasetError,
    MissingDaysError,
    UnknownEventsError,
    WeightsError,
)
"""Errors that mean that a champion's recipe can no longer be built."""
_SAME_NAMES: Mapping[str, str] = {}
"""Partials are stored under the names of their datasets."""


@dataclass(frozen=True)
class Features:
    """The stage's tables, with schemas of `conf.contract`; lazy: they are computed when they are written."""

    interactions: DataFrame
    exclusions: DataFrame
    sources: DataFrame
    audience: DataFrame | None
    train_interactions: DataFrame
    train_exclusions: DataFrame
    train_sources: DataFrame
    holdout: DataFrame
    champion: "ChampionFeatures | None"
    """By the champion's recipe, if there is one and it can be built."""
    champion_fault: str | None
    """Why it cannot be built."""
    inputs: tuple[InputRecord, ...]
    """For the manifest: one record per dataset."""
    counts: Counts
    """For gate 1."""
    cached: tuple[DataFrame, ...]
    """Pairs used by several tables; Spark caches them until `release`."""

    def release(self) -> None:
        """Frees Spark's cache, once every table is written."""
        for frame in self.cached:
            frame.unpersist()


@dataclass(frozen=True)
class ChampionFeatures:
    """Interactions by the champion's recipe: with its own windows, columns and weights, on the same datasets."""

    interactions: DataFrame
    train_interactions: DataFrame
    inputs: tuple[InputRecord, ...]
    """One record per event dataset."""
    separate_days: Days
    """Event dataset → days of its separate partials, where today's have other content."""


def build_features(settings: Settings, as_of: dt.date, catalog: Catalog, champion: Settings | None = None) -> Features:
    """Returns the features of one run; new daily partials are made and checked at once, tables are lazy.

    `champion`: the same settings with the champion's recipe, if its interactions differ. Raises ConfigError and
    FeaturesError (see `features.errors`) before any table is written.
    """
    survey = check_survey(survey_inputs(settings, as_of, catalog), settings, catalog)
    partials = [_partials(entry, settings, catalog) for entry in survey.events]
    snapshots = _snapshots(survey, settings, catalog)
    now, then = ({name: read[i].frame for name, read in snapshots.items()} for i in (0, 1))

    pairs, train_pairs = (frame.persist() for frame in _both_pairs(survey, settings, catalog, partials))
    held_out = {entry.plan.name: [day for day in entry.days if day >= survey.cut] for entry in survey.events}
    sources = sources_of(pairs, now.get("sources"), as_of, settings.ids)
    train_exclusions = _exclusions(train_pairs, then, settings)
    _prune(survey, settings, catalog)  # before the champion's are made, whose days may be older
    for_champion, fault = (None, None) if champion is None else _champion(champion, settings, as_of, catalog)
    _prune_separate(survey, catalog, {} if for_champion is None else for_champion.separate_days)
    return Features(
        interactions=conform(interactions_of(pairs), contract.interactions(settings.ids)),
        exclusions=_exclusions(pairs, now, settings),
        sources=sources,
        audience=_audience(now, settings),
        train_interactions=conform(interactions_of(train_pairs), contract.interactions(settings.ids)),
        train_exclusions=train_exclusions,
        train_sources=train_sources_of(train_pairs, then.get("sources"), survey.cut, settings.ids),
        holdout=holdout_of(_pairs(held_out, as_of, settings, catalog), train_exclusions, sources, settings.ids),
        champion=for_champion,
        champion_fault=fault,
        inputs=(
            *(event_record(entry, made) for entry, made in zip(survey.events, partials, strict=True)),
            *(snapshot_record(entry, *snapshots[entry.plan.name]) for entry in survey.snapshots),
        ),
        counts=counts_of(survey, partials, {name: read[0] for name, read in snapshots.items()}, settings, catalog),
        cached=(pairs, train_pairs),
    )


def _champion(
    settings: Settings, today: Settings, as_of: dt.date, catalog: Catalog
) -> tuple[ChampionFeatures | None, str | None]:
    """Returns the interactions by the champion's recipe, or why they cannot be built."""
    events_only = settings.datasets.model_copy(update=dict.fromkeys(SNAPSHOTS))  # today's run has checked the snapshots
    settings = settings.model_copy(update={"datasets": events_only})
    separate = _separate_partials(settings, today)
    faults = _RECIPE_FAULTS
    if separate:  # it reads columns that today's settings do not, so nobody maintains them
        faults = (*faults, SchemaError, BadRowsError)
    try:
        survey = check_survey(survey_inputs(settings, as_of, catalog), settings, catalog)
        partials = [_partials(entry, settings, catalog, separate) for entry in survey.events]
        pairs, train_pairs = _both_pairs(survey, settings, catalog, partials, separate)
    except faults as error:
        return None, str(error)  # other errors stop the run: whether the input arrives would decide the winner
    return ChampionFeatures(
        interactions=conform(interactions_of(pairs), contract.interactions(settings.ids)),
        train_interactions=conform(interactions_of(train_pairs), contract.interactions(settings.ids)),
        inputs=tuple(event_record(entry, made) for entry, made in zip(survey.events, partials, strict=True)),
        separate_days={
            entry.plan.name: (*entry.days, *entry.train_days) for entry in survey.events if entry.plan.name in separate
        },
    ), None


def _separate_partials(champion: Settings, today: Settings) -> dict[str, str]:
    """Returns event dataset → name of the champion's partials, where today's have other content."""
    of_today = {name: settings_hash_of(dataset, today.ids) for name, dataset in today.datasets.events.items()}
    events = champion.datasets.events.items()
    return {
        name: _separate(name) for name, dataset in events if settings_hash_of(dataset, champion.ids) != of_today[name]
    }


def _separate(name: str) -> str:
    return f"champion/{name}"


def _both_pairs(
    survey: Survey,
    settings: Settings,
    catalog: Catalog,
    partials: Sequence[DailyPartials],
    names: Mapping[str, str] = _SAME_NAMES,
) -> tuple[DataFrame, DataFrame]:
    """Returns the pairs of the windows that end at `as_of`, and at the cut; raises WeightsError.

    `names`: event dataset → name of its partials, if different.
    """
    named = [(names.get(entry.plan.name, entry.plan.name), entry) for entry in survey.events]
    days = {name: entry.days for name, entry in named}
    train_days = {name: entry.train_days for name, entry in named}
    check_sums(partials, days, settings.interactions, survey.as_of)
    check_sums(partials, train_days, settings.interactions, survey.cut)
    return _pairs(days, survey.as_of, settings, catalog), _pairs(train_days, survey.cut, settings, catalog)


def _partials(
    entry: EventInput, settings: Settings, catalog: Catalog, names: Mapping[str, str] = _SAME_NAMES
) -> DailyPartials:
    name = names.get(entry.plan.name, entry.plan.name)
    partials = daily_partials(name, entry.dataset, entry.partitions, settings.ids, catalog)
    days = {*entry.days, *entry.train_days}
    check_partials(partials, entry.dataset, days, settings.interactions.event_weights.keys())
    return partials


def _snapshots(survey: Survey, settings: Settings, catalog: Catalog) -> dict[str, tuple[Snapshot, Snapshot]]:
    """Returns each snapshot by name, as of today and as of the cut; a partition used for both is read once."""
    read = {}
    for entry in survey.snapshots:
        now = read_snapshot(entry.plan, entry.dataset, survey.as_of, settings.ids, catalog)
        same = entry.train.found == entry.plan.found
        then = now if same else read_snapshot(entry.train, entry.dataset, survey.cut, settings.ids, catalog)
        read[entry.plan.name] = (now, then)
    return read


def _pairs(days: Days, as_of: dt.date, settings: Settings, catalog: Catalog) -> DataFrame:
    kept = [valid_rows(catalog.partials.read(name, some, settings.ids)) for name, some in days.items()]
    together = union_of([without_users(frame, catalog.erased) for frame in kept])  # they may be older than an erasure
    return weigh_pairs(together, settings.interactions, as_of, [day for some in days.values() for day in some])


def _exclusions(pairs: DataFrame, snapshots: Mapping[str, DataFrame], settings: Settings) -> DataFrame:
    return exclusions_of(
        pairs,
        exclude_seen=settings.interactions.exclude_seen,
        subscriptions=snapshots.get("subscriptions"),
        blocks=snapshots.get("blocks"),
        sources=snapshots.get("sources"),
        ids=settings.ids,
    )


def _audience(snapshots: Mapping[str, DataFrame], settings: Settings) -> DataFrame | None:
    audience = snapshots.get("audience")
    return None if audience is None else conform(audience.distinct(), contract.audience(settings.ids))


def _prune(survey: Survey, settings: Settings, catalog: Catalog) -> None:
    """Deletes partials older than `partials_keep_days`, but none that this run needs."""
    keep_from = survey.as_of - dt.timedelta(days=settings.runs.partials_keep_days)
    for entry in survey.events:
        catalog.partials.prune(entry.plan.name, min(keep_from, *(part.day for part in entry.partitions)))


def _prune_separate(survey: Survey, catalog: Catalog, days: Days) -> None:
    """Deletes partials of former champions' recipes."""
    for entry in survey.events:
        name = entry.plan.name
        catalog.partials.prune(_separate(name), min(days.get(name, ()), default=dt.date.max))
