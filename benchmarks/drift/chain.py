"""Weekly runs of features, training and lists on small worlds, measured as the job does, without servers.

Every week is trained from the start, and nothing is judged on a hold-out.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import SparkSession

from conf import contract
from conf.settings import Settings
from conf.share import EVERYBODY
from expectations.drift.history import Measured
from expectations.drift.list_sample import list_sample
from expectations.drift.measure_days import measure_days
from expectations.drift.measure_snapshots import measure_snapshots, sketches_of
from expectations.drift.run_numbers import factor_numbers, interaction_numbers, list_numbers, measured, overlap_numbers
from expectations.drift.served_numbers import Served
from expectations.drift.sketch import Sketch
from expectations.drift.weeks import WEEK
from expectations.interactions import BINS, QUANTILES, InteractionProfile
from expectations.lists import ListProfile
from features.build import Features, build_features
from jobs.stages.drift import Read
from jobs.stages.drift_numbers import numbers_of_served
from jobs.storage.datasets import SparkCatalog
from jobs.storage.store import Storage
from models.lists.candidates import Candidates
from models.lists.fallback import fallback_list
from models.lists.topn import serve_users
from models.training.train import train

_MADE_OF = "benchmark"


@dataclass(frozen=True)
class Week:
    """One run."""

    measured: list[Measured]
    read: Read
    served: Served
    """By which the next run judges this one."""
    sketches: list[Sketch]
    lists: pa.Table
    """contract.lists"""
    exclusions: pa.Table
    sources: pa.Table


@dataclass(frozen=True)
class Chain:
    """Runs of one product."""

    spark: SparkSession
    settings: Settings
    partials: Storage

    def week(self, data: Path, as_of: dt.date, former: "Week | None", sketches: Iterable[Sketch] = ()) -> Week:
        """Makes a run over the datasets in `data`; `former` serves. Raises FeaturesError where they cannot be read."""
        settings, ids = self.settings, self.settings.ids
        catalog = SparkCatalog(lambda: self.spark, Storage(str(data)), self.partials)
        features = build_features(settings, as_of, catalog)
        interactions, exclusions, sources = (
            frame.toArrow() for frame in (features.interactions, features.exclusions, features.sources)
        )
        features.release()
        interactions = interactions.cast(contract.interactions(ids))
        sources = sources.cast(contract.sources(ids))
        trained = train(ds.dataset(interactions), settings.train, ids)
        factors = pa.Table.from_batches([*trained.user_batches()])
        source_factors = pa.Table.from_batches([*trained.source_batches()])
        lists = self._lists(factors, source_factors, exclusions, sources, features)
        read = Read.of(features.counts, as_of, None if former is None else as_of - dt.timedelta(days=WEEK))
        sample = list_sample(lists, factors, exclusions, ids)
        popular = fallback_list(sources, settings.lists.fallback_size).source_ids[: settings.lists.n]
        norms = {"user": _norms(trained.user_factors), "source": _norms(trained.source_factors)}
        since = pa.nulls(sources.num_rows, pa.timestamp("us", "UTC"))
        undated = sources.select(["source_id"]).append_column("since", since)
        counts, profile = features.counts, _list_profile(lists, sources, settings.lists.n)
        of_lists = list_numbers(profile, sample, sources, undated, as_of)
        found = [
            *measure_days(catalog, settings, counts.days, read.new, counts.snapshots),
            *measure_snapshots(as_of, counts.snapshots, sketches),
            *measured("interactions", as_of, _MADE_OF, interaction_numbers(_interaction_profile(interactions))),
            *measured("factors", as_of, _MADE_OF, factor_numbers(norms)),
            *measured("lists", as_of, _MADE_OF, of_lists),
        ]
        if former is not None:
            found += measured("lists", as_of, _MADE_OF, overlap_numbers(sample, former.served.sample))
            found += numbers_of_served(settings, catalog, counts.days, read.new, former.served)
        served = Served(sample, source_factors, popular, lists.num_rows)
        return Week(found, read, served, sketches_of(as_of, counts.snapshots), lists, exclusions, sources)

    def _lists(
        self, factors: pa.Table, source_factors: pa.Table, exclusions: pa.Table, sources: pa.Table, features: Features
    ) -> pa.Table:
        """Returns contract.lists."""
        ids, settings = self.settings.ids, self.settings.lists
        excluded = exclusions.group_by("user_id").aggregate([("source_id", "distinct")])
        excluded = excluded.rename_columns(["user_id", "excluded"])
        rows = _outer(factors, excluded)
        if features.audience is not None:
            audience = features.audience.toArrow()["user_id"].cast(rows.schema.field("user_id").type)
            rows = rows.filter(pc.is_in(rows["user_id"], value_set=audience.combine_chunks()))
        candidates, fallback = (
            Candidates.build(ds.dataset(source_factors), sources, ids),
            fallback_list(sources, settings.fallback_size),
        )
        (batch,) = rows.combine_chunks().to_batches()
        made = [*serve_users(batch, candidates, fallback, settings, ids)]
        return pa.Table.from_batches(made, contract.lists(ids))


def _outer(factors: pa.Table, excluded: pa.Table) -> pa.Table:
    """Returns user_id, factors, excluded of every user of either."""
    chunks = [*factors["user_id"].chunks, *excluded["user_id"].cast(factors["user_id"].type).chunks]
    users: Any = pc.unique(pa.chunked_array(chunks))
    none: Any = pa.scalar([], excluded["excluded"].type)
    columns: dict[str, Any] = {
        "user_id": users,
        "factors": factors["factors"].take(pc.index_in(users, value_set=factors["user_id"])),
        "excluded": pc.fill_null(excluded["excluded"].take(pc.index_in(users, value_set=excluded["user_id"])), none),
    }
    return pa.table(columns)


def _norms(factors: Any) -> tuple[float, float, int]:
    norms = np.linalg.norm(factors, axis=1)
    median, high = np.quantile(norms, [0.5, 0.99])
    return float(median), float(high), len(norms)


def _interaction_profile(interactions: pa.Table) -> InteractionProfile:
    """Returns what the gate would measure, as far as drift asks for it."""
    weights = interactions["weight"].to_numpy()
    return InteractionProfile(
        columns=(),
        rows=len(weights),
        users=len(pc.unique(interactions["user_id"])),
        sources=len(pc.unique(interactions["source_id"])),
        nulls={},
        non_finite=0,
        non_positive=0,
        duplicates=0,
        min=float(weights.min()),
        max=float(weights.max()),
        mean=float(weights.mean()),
        quantiles=tuple(float(value) for value in np.quantile(weights, QUANTILES)),
        histogram=(0,) * BINS,
        first_ts=None,
        last_ts=None,
    )


def _list_profile(lists: pa.Table, sources: pa.Table, n: int) -> ListProfile:
    """Likewise of the lists."""
    lengths = np.asarray(pc.list_value_length(lists["source_ids"]))
    personal = lists.filter(lists["personal"])
    counts = pc.value_counts(pc.list_flatten(personal["source_ids"])).field("counts")
    zeros: Mapping[str, Any] = dict.fromkeys(
        ("too_long", "with_duplicates", "mismatched", "non_finite", "ascending", "ineligible"), 0
    )
    return ListProfile(
        columns=(),
        n=n,
        share_bp=EVERYBODY,
        lists=lists.num_rows,
        personal=personal.num_rows,
        users=lists.num_rows,
        expected_users=personal.num_rows,
        nulls={},
        full=int((lengths == n).sum()),
        min_length=int(lengths.min()),
        mean_length=float(lengths.mean()),
        excluded={},
        eligible_sources=int(pc.sum(sources["eligible"]).as_py()),
        listed_sources=len(pc.unique(pc.list_flatten(lists["source_ids"]))),
        most_frequent=int(pc.max(counts).as_py()),
        **zeros,
    )


def breaches(lists: pa.Table, clean: Week) -> float:
    """Returns the share of users whose list holds what their clean exclusions forbid, or what is not eligible."""
    eligible = clean.sources.filter(clean.sources["eligible"])["source_id"]
    known: dict[object, set[object]] = {}
    for user, source in zip(
        clean.exclusions["user_id"].to_pylist(), clean.exclusions["source_id"].to_pylist(), strict=True
    ):
        known.setdefault(user, set()).add(source)
    allowed, nothing = {*eligible.to_pylist()}, set[object]()
    rows = [*zip(lists["user_id"].to_pylist(), lists["source_ids"].to_pylist(), strict=True)]
    bad = sum(not ({*(row or ())} <= allowed and known.get(user, nothing).isdisjoint(row or ())) for user, row in rows)
    return bad / max(len(rows), 1)
