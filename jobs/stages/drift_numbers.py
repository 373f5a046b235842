"""What a run measures for its drift gates: its new days and snapshots, its interactions, its lists, and the model that
serves on the new days."""

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from conf import contract
from conf.digest import sha256_of
from conf.recipe import Recipe
from conf.settings import Settings
from expectations.drift.history import Measured
from expectations.drift.list_sample import is_sampled, read_list_sample
from expectations.drift.measure_days import measure_days
from expectations.drift.measure_snapshots import measure_snapshots, sketches_of
from expectations.drift.run_numbers import (
    factor_numbers,
    interaction_numbers,
    judged_numbers,
    list_numbers,
    made_after,
    measured,
    overlap_numbers,
)
from expectations.drift.served_numbers import Served, served_numbers
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile
from features.build import Features
from features.partials import valid_rows
from features.reading.catalog import Catalog, PartialRecord
from features.reading.erasures import without_users
from features.tables import union_of
from jobs.run.context import Run
from jobs.run.manifest import KeptRun
from jobs.stages.lists_from_factors import FALLBACK
from jobs.stages.stage import Facts
from jobs.storage.drift import DriftStore
from models.lists.fallback import Fallback
from models.model_card.shape import PERCENTS, Shape

LIST_SAMPLE = "list_sample"
"""Table of the sampled lists, by which the next run judges this one."""
_BY_AGE = ("age", "kept", "fresh")
"""Statistics of a snapshot that depend on how old it is."""


def event_numbers(
    run: Run, catalog: Catalog, features: Features, new_days: Mapping[str, Collection[dt.date]]
) -> list[Measured]:
    """Returns the numbers of the new days, and of the model that serves on these; writes nothing."""
    counts = features.counts
    return [
        *measure_days(catalog, run.settings, counts.days, new_days, counts.snapshots),
        *_served_numbers(run, catalog, features, new_days),
    ]


def input_numbers(
    run: Run, features: Features, interactions: InteractionProfile, of_events: Callable[[], Sequence[Measured]]
) -> list[Measured]:
    """Returns the numbers of the features stage; keeps sketches of the snapshots for later runs.

    of_events: returns those of `event_numbers`.
    """
    store, counts = run.drift_store, features.counts
    store.keep_sketches(run.run_id, sketches_of(run.as_of, counts.snapshots))
    return [
        *of_events(),
        *_snapshot_numbers(run, features, store),
        *measured("interactions", run.as_of, features_made_by(run.settings), interaction_numbers(interactions)),
    ]


def _snapshot_numbers(run: Run, features: Features, store: DriftStore) -> list[Measured]:
    """Returns the numbers of the snapshots; an older one that an operator chose is not judged by how old it is."""
    snapshots = features.counts.snapshots
    chosen = {one.dataset for one in run.excluded if one.dataset in snapshots and snapshots[one.dataset].day < one.day}
    found = measure_snapshots(run.as_of, snapshots, store.sketches(without=run.run_id))
    return [one for one in found if one.subject not in chosen or one.name not in _BY_AGE]


def list_drift_numbers(run: Run, profile: ListProfile, sampled: Callable[[], pa.Table]) -> list[Measured]:
    """Returns the numbers of training and lists; writes the sample of lists by which the next run judges this one.

    sampled: returns `sample_of_lists`.
    """
    sample, served = sampled(), _served_run(run)
    if not run.folder.finished(LIST_SAMPLE):
        run.folder.write_table(LIST_SAMPLE, sample.to_batches(), contract.list_sample(run.ids))
    sources, known = (run.folder.table(name).to_table() for name in ("sources", "train_sources"))
    made_of = _lists_of(run)
    return [
        *measured("judged", run.as_of, made_of, judged_numbers(run.manifest.fact("train", "judged"))),
        *measured("factors", run.as_of, f"{made_of} {_start_of(run)}", factor_numbers(_norms(run))),
        *measured("lists", run.as_of, made_of, list_numbers(profile, sample, sources, known, run.as_of)),
        *(_overlap(run, made_of, sample, served) if served is not None else ()),
    ]


def _overlap(run: Run, made_of: str, sample: pa.Table, served: KeptRun) -> list[Measured]:
    former, gap = served.folder.table(LIST_SAMPLE).to_table(), run.as_of - served.manifest.request.as_of
    return measured("lists", run.as_of, made_after(made_of, gap.days), overlap_numbers(sample, former))


def sample_of_lists(run: Run, rows: int) -> pa.Table:
    """Returns a sample of so many lists (`contract.list_sample`); the one of an earlier attempt, if it wrote one."""
    if run.folder.finished(LIST_SAMPLE):
        return run.folder.table(LIST_SAMPLE).to_table()
    lists, factors, exclusions = (run.tables.read(name) for name in ("lists", "user_factors", "exclusions"))
    return read_list_sample(lists, factors, exclusions, rows, run.ids)


def _served_run(run: Run) -> KeptRun | None:
    """Returns the run that serves, if it kept a sample of its lists; older code did not."""
    before = run.manifest.serving_before
    kept = None if before is None else run.kept_run(before)
    return kept if kept is not None and kept.folder.exists(LIST_SAMPLE) else None


def _served_numbers(
    run: Run, catalog: Catalog, features: Features, new_days: Mapping[str, Collection[dt.date]]
) -> list[Measured]:
    kept = _served_run(run)
    if kept is None:
        return []
    served = Served(
        kept.folder.table(LIST_SAMPLE).to_table(),
        kept.folder.table("source_factors").to_table(),
        Fallback.of_json(kept.folder.read_bytes(FALLBACK), run.ids).source_ids[: run.settings.lists.n],
        int(kept.folder.table("lists").count_rows()),
    )
    return numbers_of_served(run.settings, catalog, features.counts.days, new_days, served)


def numbers_of_served(
    settings: Settings,
    catalog: Catalog,
    records: Mapping[str, Sequence[PartialRecord]],
    new_days: Mapping[str, Collection[dt.date]],
    served: Served,
) -> list[Measured]:
    """Returns how well the serving model predicts each new day, by the partials of these days."""
    known = {name: {record.day: record for record in some} for name, some in records.items()}
    days = {name: sorted({*some} & known[name].keys()) for name, some in new_days.items()}
    made_of: dict[dt.date, str] = {}
    for day in sorted({day for some in days.values() for day in some}):
        prints = [f"{name}={known[name][day].fingerprint}" for name in sorted(days) if day in days[name]]
        made_of[day] = sha256_of(";".join(prints))[:16]
    return served_numbers(served, _engaged(settings, catalog, days, served.lists), made_of)


def _engaged(settings: Settings, catalog: Catalog, days: Mapping[str, Sequence[dt.date]], lists: int) -> pa.Table:
    """Returns (dt, user_id, source_id) of the sampled users' events that weigh something for the source."""
    liked = [name for name, weight in settings.interactions.event_weights.items() if weight > 0]

    def of(name: str) -> DataFrame:
        kept = without_users(valid_rows(catalog.partials.read(name, days[name], settings.ids)), catalog.erased)
        return kept.where(is_sampled(lists) & sf.col("event").isin(liked)).select("dt", "user_id", "source_id")

    return union_of([of(name) for name in sorted(days)]).toArrow()  # pairs twice: to drop them, Spark would shuffle


def features_made_by(settings: Settings) -> str:
    """Returns what interactions are made by: numbers of other windows or weights are not comparable."""
    recipe = Recipe.of(settings).to_json()
    recipe.pop("train")
    return sha256_of(json.dumps(recipe, sort_keys=True))[:16]


def _lists_of(run: Run) -> str:
    """Returns what lists are made by: the recipe that won, the length of a list, and the share of the audience."""
    winner = run.manifest.fact("train", "decision")["winner"]
    champion = run.manifest.champion
    recipe = Recipe.of(run.settings).to_json()
    if winner == "champion" and champion is not None and champion.recipe is not None:
        recipe = {**champion.recipe}
    content: dict[str, object] = {
        "recipe": recipe,
        "lists": run.settings.lists.model_dump(mode="json"),
        "share": str(run.share),
    }
    if run.is_popular:
        content["popular"] = True
    return sha256_of(json.dumps(content, sort_keys=True, default=str))[:16]


def _start_of(run: Run) -> str:
    """Returns whether training began with earlier factors: norms after a cold start are others."""
    training: Facts = run.manifest.fact("train", "training")
    return str(training.get("started", "refresh"))


def _norms(run: Run) -> dict[str, tuple[float, float, int]]:
    kept: Mapping[str, Mapping[str, object]] = run.manifest.fact("train", "shapes")
    found = {}
    for name in ("user", "source"):
        if f"{name}_norms" in kept:
            shape = Shape.from_json(kept[f"{name}_norms"])
            median, high = (shape.quantiles[PERCENTS.index(percent)] for percent in (50, 99))
            found[name] = (median, high, shape.count)
    return found
