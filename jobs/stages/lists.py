"""Embeddings → a list for every user of the share, and the fallback list; then gate 2 judges the lists."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame

from conf import contract
from expectations.deadline import begin
from expectations.gate import check_lists
from expectations.lists import FallbackList, ListProfile
from expectations.measure_lists import measure_lists
from expectations.report import GateReport
from jobs.run.context import Run, RunContext
from jobs.runtime.log import timed
from jobs.stages.drift import Past, Read, learned_limits, pass_drift_gate
from jobs.stages.drift_numbers import list_drift_numbers, sample_of_lists
from jobs.stages.gates import baseline_of, passed_report, summary_of
from jobs.stages.lists_from_factors import FALLBACK, lists_from_factors, share_candidates, users_in_share
from jobs.stages.shadow import shadow_facts
from jobs.stages.stage import Facts, stage
from jobs.stages.training.register import note_judged
from models.judge import CHAMPION
from models.lists.fallback import Fallback, fallback_list
from models.lists.topn import Folder, excluded_sources


@stage("topn", before_record=note_judged)
def precompute_topn(run: Run) -> Facts:
    """Writes the lists and the fallback list into the run's folder and passes gate 2."""
    made, past, nothing = make_lists(run), Past.of(run), Read.nothing()
    sampled = begin(partial(sample_of_lists, run, made.rows))  # beside gate 2
    learned = learned_limits(run, past, nothing)
    report = passed_report(run, lambda: _judge(run, made, learned))
    assert isinstance(report.profile, ListProfile)
    measure = partial(list_drift_numbers, run, report.profile, sampled.result)
    drift = pass_drift_gate(run, "list_drift", past, measure, nothing, made.rows)
    rows = {"lists": made.rows, "fallback": len(made.fallback)}
    shadow = shadow_facts(run, made.candidates, made.fallback)
    return {"rows": rows, "gate": summary_of(report), "drift": drift, **shadow}


_OF_POPULAR_LISTS = dict.fromkeys(
    ("min_coverage_of_catalogue", "max_concentration"), "the control has the same popular sources for everybody"
)
"""Limits that lists of popular sources break by design."""


@dataclass(frozen=True, eq=False)
class ServedLists:
    """The lists of a run and their users."""

    users: DataFrame | None
    """Users who get lists (user_id); None: everybody."""
    rows: int
    fallback: Fallback
    candidates: Folder


def make_lists(run: RunContext) -> ServedLists:
    """Writes the lists and the fallback list of the factors, exclusions and sources in the run's folder."""
    sources = run.folder.table("sources").to_table()
    fallback = fallback_list(sources, run.settings.lists.fallback_size)
    run.folder.write_bytes(FALLBACK, fallback.to_json())
    users = users_in_share(run)
    with timed("topn", "lists") as notes:
        excluded = excluded_sources(run.tables.read("exclusions"), users)  # checks the table before anything is sent
        candidates = share_candidates(run, "", sources)
        lists = lists_from_factors(run, "", candidates, excluded, fallback, users)
        rows = run.tables.write("lists", lists, contract.lists(run.ids))
        notes.append(f"{rows:,} rows")
    return ServedLists(users, rows, fallback, candidates)


def _judge(run: Run, made: ServedLists, learned: Collection[str]) -> GateReport:
    ratio, skipped = _quality(run.manifest.fact("train", "judged"), run.manifest.fact("train", "decision")["winner"])
    baseline, asked = baseline_of(run, "lists"), run.manifest.request.overrides
    return check_lists(
        lambda: _measure(run, made.users, made.fallback),
        run.settings.gates,
        baseline if isinstance(baseline, ListProfile) else None,
        {**_OF_POPULAR_LISTS, **asked} if run.is_popular else asked,
        ids=run.ids,
        quality_ratio=ratio,
        quality_skipped=skipped,
        as_of=run.as_of,
        run=run.run_id,
        learned=learned,
    )


def _measure(run: Run, users: DataFrame | None, fallback: Fallback) -> ListProfile:
    modelled = run.tables.read("user_factors").select("user_id")
    expected = modelled if users is None else modelled.join(users, "user_id", "left_semi")
    tables = [run.tables.read(name) for name in ("lists", "exclusions", "sources")]
    return measure_lists(
        *tables,
        n=run.settings.lists.n,
        expected_users=expected.count(),
        share_bp=run.share,
        salt=run.settings.rollout.salt,
        fallback=FallbackList(tuple(fallback.source_ids.to_pylist()), tuple(fallback.scores.tolist())),
    )


def _quality(judged: Facts, winner: str) -> tuple[float | None, str]:
    """Returns NDCG of the winning recipe ÷ that of popularity; or None and the reason."""
    if "skipped" in judged:
        return None, f"the recipe was not judged: {judged['skipped']}"
    ours, popularity = judged["ndcg" if winner == "challenger" else f"{CHAMPION}.ndcg"], judged["popularity.ndcg"]
    if popularity == 0:
        return (math.inf if ours > 0 else 0.0), ""
    return ours / popularity, ""
