"""Datasets → interactions, exclusions, sources and the hold-out; gate 1 judges what comes in, then the interactions."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from conf import contract
from conf.ids import IdKind
from conf.settings import Settings
from expectations.deadline import begin
from expectations.gate import check_inputs, check_interactions
from expectations.interactions import InteractionProfile
from expectations.measure_interactions import measure_interactions
from expectations.report import GateReport
from features.build import Features
from features.build import build_features as features_of
from features.reading.catalog import Catalog
from features.side_by_side import side_by_side
from jobs.run.context import Run, RunContext
from jobs.run.report import INPUTS
from jobs.runtime.log import log_step, timed
from jobs.stages.drift import Past, Read, learned_limits, pass_drift_gate
from jobs.stages.drift_numbers import event_numbers, input_numbers
from jobs.stages.gates import (
    INPUT_FACT,
    baseline_of,
    need_baselines,
    pass_gate,
    passed_report,
    served_inputs,
    summary_of,
)
from jobs.stages.inputs import input_profile
from jobs.stages.stage import Facts, stage
from jobs.storage.backfilled import Backfilled
from jobs.storage.datasets import open_catalog
from jobs.storage.gate_reports import CHAMPION_INTERACTIONS
from jobs.storage.tables import Tables

_STREAMED_GROUP = 2**20
"""Encoded bytes of a row group, about 100,000 interactions; training holds one in memory while it reads."""
TABLES: Mapping[str, Callable[[IdKind], pa.Schema]] = {
    "interactions": contract.interactions,
    "exclusions": contract.exclusions,
    "sources": contract.sources,
    "train_interactions": contract.interactions,
    "train_exclusions": contract.exclusions,
    "train_sources": contract.train_sources,
    "holdout": contract.holdout,
    "audience": contract.audience,
    "champion_interactions": contract.interactions,
    "champion_train_interactions": contract.interactions,
}
"""Table of this stage → its schema."""


@stage("features")
def build_features(run: Run) -> Facts:
    """Writes the tables that features/ makes of the datasets into the run's folder, and passes gate 1."""
    need_baselines(run)
    contest = run.contest_with()
    catalog = catalog_of(run)
    if days := Backfilled.of(run.home, run.settings.product).take_over(run.partials, run.settings.datasets.events):
        log_step("features", f"{days} days of partials are those of `discovery drift backfill`")
    features = features_for(run, contest.champion if contest.own_features else None, catalog)
    served = served_inputs(run)
    past, read = Past.of(run), Read.of(features.counts, run.as_of, None if served is None else served.as_of)
    learned = learned_limits(run, past, read)
    input_gate = pass_gate(run, lambda: _judge_inputs(run, features, learned))
    of_events = begin(partial(event_numbers, run, catalog, features, read.new))  # beside the tables, while Spark waits
    _begin(run, features)
    rows = write_features(run.tables, features, run.ids)
    features.release()
    facts = {"rows": rows, **_inputs(features), "champion_fault": features.champion_fault}
    gates, profile = _pass_interactions(run, features, learned)
    measure = partial(input_numbers, run, features, profile, of_events.result)
    drift = pass_drift_gate(run, "input_drift", past, measure, read, profile.users)
    return facts | {INPUT_FACT: input_gate, **gates, "drift": drift}


def _pass_interactions(run: Run, features: Features, learned: Collection[str]) -> tuple[Facts, InteractionProfile]:
    """Passes the gate on interactions by each recipe. Returns the summaries, and what was measured of the run's own."""
    before, gates = _baseline(run), Facts()
    if features.champion is None and not run.contest_with().other_interactions:
        report = passed_report(run, lambda: _judge(run, "interactions", before, learned))
    elif features.champion is None:  # the recipe is pinned, and the champion's is not made
        other = f"another recipe than that of run {run.manifest.serving_before}"
        report = passed_report(run, lambda: _judge(run, "interactions", other, learned))
    else:
        judge = partial(_judge, run, "champion_interactions", before)
        gates["champion_gate"] = pass_gate(run, judge, CHAMPION_INTERACTIONS)
        # A change only says something between interactions of one recipe: another window has other rows in any case.
        other = f"another recipe than that of run {run.manifest.serving_before}; its own is compared"
        report = passed_report(run, lambda: _judge(run, "interactions", other))
    assert isinstance(report.profile, InteractionProfile)
    return {**gates, "gate": summary_of(report)}, report.profile


def catalog_of(run: RunContext) -> Catalog:
    """Returns the product's datasets."""
    spark = run.spark  # opened by this thread, before those of features/ ask for it
    return open_catalog(run.settings, run.home, lambda: spark, run.partials, run.erased.users, run.excluded)


def features_for(run: RunContext, champion: Settings | None, catalog: Catalog | None = None) -> Features:
    """Returns the tables of the run's recipe and of the champion's, if given; lazy, except the daily partials."""
    return features_of(run.settings, run.as_of, catalog or catalog_of(run), champion)


def _inputs(features: Features, *, exclude: set[str] | None = None) -> dict[str, Any]:
    """Returns the records of what both recipes read."""
    champions = () if features.champion is None else features.champion.inputs
    named = {"inputs": features.inputs, "champion_inputs": champions}
    return {name: [record.model_dump(mode="json", exclude=exclude) for record in some] for name, some in named.items()}


def _begin(run: Run, features: Features) -> None:
    """Records what the tables are made of before the first one; tables made of other inputs are deleted."""
    inputs = _inputs(features, exclude={"partials_reused", "partials_rebuilt"})
    content = json.dumps({**inputs, **run.left_out}, indent=1).encode()
    if run.folder.exists(INPUTS) and run.folder.read_bytes(INPUTS) != content:
        log_step("features", "datasets or erased users changed since the earlier attempt: its tables are made again")
        for table in TABLES:
            run.folder.delete(table)
    run.folder.write_bytes(INPUTS, content)


def write_features(tables: Tables, features: Features, ids: IdKind, wanted: Collection[str] = TABLES) -> dict[str, int]:
    """Writes the wanted tables that exist. Returns table → number of rows.

    The interactions come first, because they compute the pairs that Spark caches; the others are written side by side.
    """

    frames = {name: frame for name in TABLES if name in wanted and (frame := table_of(features, name)) is not None}

    def write(name: str) -> tuple[str, int]:
        with timed("features", name) as notes:
            group = _STREAMED_GROUP if name.endswith("interactions") else None
            rows = tables.write(name, frames[name], TABLES[name](ids), group)
            notes.append(f"{rows:,} rows")
        return name, rows

    names = [*frames]
    return dict(side_by_side(write, names[:1]) + side_by_side(write, names[1:]))


def table_of(features: Features, name: str) -> DataFrame | None:
    """Returns one of TABLES; None for a table that the run does not have."""
    of_champion = name.startswith("champion_")
    table: DataFrame | None = getattr(
        features.champion if of_champion else features, name.removeprefix("champion_"), None
    )
    return table


def _baseline(run: Run) -> InteractionProfile | None:
    found = baseline_of(run, "interactions")
    return found if isinstance(found, InteractionProfile) else None


def _judge_inputs(run: Run, features: Features, learned: Collection[str]) -> GateReport:
    return check_inputs(
        input_profile(features.counts),
        run.settings.gates,
        served_inputs(run),
        run.manifest.request.overrides,
        as_of=run.as_of,
        run=run.run_id,
        learned=learned,
    )


def _judge(
    run: Run, table: str, baseline: InteractionProfile | str | None, learned: Collection[str] = ()
) -> GateReport:
    return check_interactions(
        lambda: measure_interactions(run.tables.read(table)),
        run.settings.gates,
        baseline,
        run.manifest.request.overrides,
        ids=run.ids,
        as_of=run.as_of,
        run=run.run_id,
        learned=learned,
    )
