"""Builds the tables of the features stage from settings and a catalog."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.datasets import SNAPSHOTS
from conf.errors import ConfigError, DiscoveryError
from conf.ids import UserId
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
from features.exclusions import eligible_sources, exclusions_of, known_pairs, sources_of
from features.interactions import EVENTS_PER_TASK, Span, check_sums, interactions_of, range_starts, weigh_pairs
from features.partials import DailyPartials, check_partials, daily_partials, settings_hash_of, valid_rows
from features.reading.catalog import Catalog
from features.reading.erasures import without_users
from features.reading.snapshots import Snapshot, SnapshotRead, read_snapshots
from features.records import InputRecord, event_record, snapshot_record
from features.side_by_side import both, side_by_side
from features.split import holdout_of, train_sources_of
from features.survey import EventInput, Survey, check_survey, survey_inputs
from features.tables import conform

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
_KEPT = StorageLevel.DISK_ONLY
"""Where Spark caches pairs: in memory they would leave less for the joins of the tables that are made of them."""
_SAMPLED_USERS = 10_000
"""Rows of a dataset whose users decide where the ranges begin."""
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
    """Pairs by `weigh_pairs`, used by several tables; Spark caches them until `release`."""

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
    cached: DataFrame
    """As in `Features`."""


def build_features(settings: Settings, as_of: dt.date, catalog: Catalog, champion: Settings | None = None) -> Features:
    """Returns the features of one run; new daily partials are made and checked at once, tables are lazy.

    `champion`: the same settings with the champion's recipe, if its interactions differ. Raises ConfigError and
    FeaturesError (see `features.errors`) before any table is written.
    """
    survey = check_survey(survey_inputs(settings, as_of, catalog), settings, catalog)
    partials, snapshots = both(
        lambda: _partials(survey, settings, catalog), lambda: _snapshots(survey, settings, catalog)
    )
    now, then = ({name: read[i].frame for name, read in snapshots.items()} for i in (0, 1))

    run, train, test = _spans(survey)
    weighed = _weighed(survey, (run, train, test), settings, catalog, partials).persist(_KEPT)
    pairs, train_pairs = run.pairs_of(weighed), train.pairs_of(weighed)
    seen, train_seen = (pairs, train_pairs) if settings.interactions.exclude_seen else (None, None)
    untrained = weighed if train_seen is None else weighed.where(sf.col(train.column("last_ts")).isNull())
    eligible = eligible_sources(pairs, now.get("sources"), as_of)
    _prune(survey, settings, catalog)  # before the champion's are made, whose days may be older
    for_champion, fault = (None, None) if champion is None else _champion(champion, settings, as_of, catalog)
    _prune_separate(survey, catalog, {} if for_champion is None else for_champion.separate_days)
    return Features(
        interactions=_interactions(pairs, settings),
        exclusions=exclusions_of(seen, now, settings.ids),
        sources=sources_of(pairs, now.get("sources"), as_of, settings.ids),
        audience=_audience(now, settings),
        train_interactions=_interactions(train_pairs, settings),
        train_exclusions=exclusions_of(train_seen, then, settings.ids),
        train_sources=train_sources_of(train_pairs, then.get("sources"), survey.cut, settings.ids),
        holdout=holdout_of(test.pairs_of(untrained), known_pairs(then), eligible, settings.ids),
        champion=for_champion,
        champion_fault=fault,
        inputs=(
            *(event_record(entry, made) for entry, made in zip(survey.events, partials, strict=True)),
            *(snapshot_record(entry, *snapshots[entry.plan.name]) for entry in survey.snapshots),
        ),
        counts=counts_of(survey, partials, {name: read[0] for name, read in snapshots.items()}, settings, catalog),
        cached=(weighed, *(() if for_champion is None else (for_champion.cached,))),
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
        partials = _partials(survey, settings, catalog, separate)
        run, train, _ = _spans(survey)
        weighed = _weighed(survey, (run, train), settings, catalog, partials, separate).persist(_KEPT)
    except faults as error:
        return None, str(error)  # other errors stop the run: whether the input arrives would decide the winner
    return ChampionFeatures(
        interactions=_interactions(run.pairs_of(weighed), settings),
        train_interactions=_interactions(train.pairs_of(weighed), settings),
        inputs=tuple(event_record(entry, made) for entry, made in zip(survey.events, partials, strict=True)),
        separate_days={
            entry.plan.name: (*entry.days, *entry.train_days) for entry in survey.events if entry.plan.name in separate
        },
        cached=weighed,
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


def _spans(survey: Survey) -> tuple[Span, Span, Span]:
    """Returns the days of the run's windows, of the judged recipe's, which end at the cut, and those held out."""
    held_out = {entry.plan.name: [day for day in entry.days if day >= survey.cut] for entry in survey.events}
    return (
        Span("run", {entry.plan.name: entry.days for entry in survey.events}, survey.as_of),
        Span("train", {entry.plan.name: entry.train_days for entry in survey.events}, survey.cut, with_first=True),
        Span("test", held_out, survey.as_of),
    )


def _weighed(
    survey: Survey,
    spans: Sequence[Span],
    settings: Settings,
    catalog: Catalog,
    partials: Sequence[DailyPartials],
    names: Mapping[str, str] = _SAME_NAMES,
) -> DataFrame:
    """Returns the pairs of all spans by `weigh_pairs`; raises WeightsError.

    `names`: event dataset → name of its partials, if different.
    """
    by_dataset = dict(zip((entry.plan.name for entry in survey.events), partials, strict=True))
    for span in spans:
        check_sums(by_dataset, span, settings.interactions)
    frames = {}
    for name in by_dataset:
        days = sorted({day for span in spans for day in span.days[name]})
        kept = valid_rows(catalog.partials.read(names.get(name, name), days, settings.ids))
        frames[name] = without_users(kept, catalog.erased)  # they may be older than an erasure
    starts = _range_starts(by_dataset, settings, catalog, names)
    return weigh_pairs(frames, spans, settings.interactions, starts)


def _range_starts(
    partials: Mapping[str, DailyPartials], settings: Settings, catalog: Catalog, names: Mapping[str, str]
) -> list[UserId]:
    """Returns where the ranges of users begin, by a sample of each dataset's newest day with events."""
    events = sum(record.kept for made in partials.values() for record in made.records)
    ranges = min(settings.spark.shuffle_partitions, math.ceil(events / EVENTS_PER_TASK))
    users: list[UserId] = []
    for name, made in partials.items():
        days = [record.day for record in made.records if record.kept]
        if days and ranges > 1:
            users += catalog.partials.some_users(names.get(name, name), days[-1], _SAMPLED_USERS)
    return range_starts(users, ranges)


def _partials(
    survey: Survey, settings: Settings, catalog: Catalog, names: Mapping[str, str] = _SAME_NAMES
) -> list[DailyPartials]:
    """Returns the partials of each event dataset, made side by side; raises the first error in their order."""

    def made(entry: EventInput) -> DailyPartials:
        name = names.get(entry.plan.name, entry.plan.name)
        partials = daily_partials(name, entry.dataset, entry.partitions, settings.ids, catalog)
        days = {*entry.days, *entry.train_days}
        check_partials(partials, entry.dataset, days, settings.interactions.event_weights.keys())
        return partials

    return side_by_side(made, survey.events)


def _snapshots(survey: Survey, settings: Settings, catalog: Catalog) -> dict[str, tuple[Snapshot, Snapshot]]:
    """Returns each snapshot by name, as of today and as of the cut; a partition used for both is read once."""
    wanted: list[SnapshotRead] = []
    places = {}
    for entry in survey.snapshots:
        now = SnapshotRead(entry.plan, entry.dataset, survey.as_of)
        then = SnapshotRead(entry.train, entry.dataset, survey.cut)
        reads = (now,) if entry.train.found == entry.plan.found else (now, then)
        places[entry.plan.name] = len(wanted), len(wanted) + len(reads) - 1
        wanted += reads
    read = read_snapshots(wanted, settings.ids, catalog)
    return {name: (read[now], read[then]) for name, (now, then) in places.items()}


def _interactions(pairs: DataFrame, settings: Settings) -> DataFrame:
    return conform(interactions_of(pairs), contract.interactions(settings.ids))


def _audience(snapshots: Mapping[str, DataFrame], settings: Settings) -> DataFrame | None:
    audience = snapshots.get("audience")
    return None if audience is None else conform(audience, contract.audience(settings.ids)).distinct()


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
