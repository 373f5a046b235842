"""Datasets → interactions, exclusions, sources and the hold-out; then gate 1."""

import sys

from conf import contract
from expectations.gate import check_interactions
from expectations.interaction_profile import measure_interactions
from features.build import Features, build_features as features_of
from jobs.catalog import SparkCatalog
from jobs.entry import enter
from jobs.gates import baseline_of, keep_report
from jobs.log import timed
from jobs.run import Run
from jobs.stage import Facts, stage


@stage("features")
def build_features(run: Run) -> Facts:
    """Writes the tables of features/ into the run's folder and lets gate 1 judge the interactions."""
    features = features_of(run.settings, run.as_of, SparkCatalog(lambda: run.spark, run.data, run.partials))
    rows = _write(run, features)
    report = check_interactions(
        lambda: measure_interactions(run.tables.read("interactions")),
        run.settings.gates,
        baseline_of(run, "interactions"),
        run.manifest.request.overrides,
    )
    keep_report(run, "interactions", report)
    return {"rows": rows, "inputs": [record.as_json() for record in features.inputs], "gate": report.summary()}
