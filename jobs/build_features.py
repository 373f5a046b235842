"""Datasets → interactions, exclusions, sources and the hold-out; then gate 1 judges the interactions.

spark-submit jobs/build_features.py --config conf/prod_discovery.yml --as-of 2026-11-16
"""

import json
import sys

from conf import contract
from expectations.gate import check_interactions
from expectations.interaction_profile import measure_interactions
from expectations.profiles import InteractionProfile
from expectations.report import GateReport
from features.build import Features
from features.build import build_features as features_of
from jobs.catalog import SparkCatalog
from jobs.entry import enter
from jobs.gates import baseline_of, need_baselines, pass_gate
from jobs.log import tell, timed
from jobs.run import Run
from jobs.stage import Facts, stage

INPUTS = "inputs.json"
"""What the tables of this stage are made of."""
TABLES = (
    "interactions",
    "exclusions",
    "sources",
    "train_interactions",
    "train_exclusions",
    "train_sources",
    "holdout",
    "audience",
)


@stage("features")
def build_features(run: Run) -> Facts:
    """Writes what features/ makes of the datasets into the run's folder and passes gate 1."""
    need_baselines(run)
    catalog = SparkCatalog(lambda: run.spark, run.data, run.partials, run.erased.users)
    features = features_of(run.settings, run.as_of, catalog)
    _begin(run, features)
    rows = _write(run, features)
    features.release()
    inputs = [record.model_dump(mode="json") for record in features.inputs]
    return {"rows": rows, "inputs": inputs, "gate": pass_gate(run, lambda: _judge(run))}


def _begin(run: Run, features: Features) -> None:
    """Notes what the tables are made of before the first one; those that a former attempt made of other inputs go."""
    fields = {"partials_reused", "partials_rebuilt"}
    inputs = [record.model_dump(mode="json", exclude=fields) for record in features.inputs]
    said = json.dumps({"inputs": inputs, **run.left_out}, indent=1).encode()
    if run.folder.exists(INPUTS) and run.folder.read_bytes(INPUTS) != said:
        tell("features", "datasets or erased users changed since the former attempt: its tables are made anew")
        for table in TABLES:
            run.folder.delete(table)
    run.folder.write_bytes(INPUTS, said)


def _write(run: Run, features: Features) -> dict[str, int]:
    tables = {
        "interactions": (features.interactions, contract.interactions(run.ids)),
        "exclusions": (features.exclusions, contract.exclusions(run.ids)),
        "sources": (features.sources, contract.sources(run.ids)),
        "train_interactions": (features.train_interactions, contract.interactions(run.ids)),
        "train_exclusions": (features.train_exclusions, contract.exclusions(run.ids)),
        "train_sources": (features.train_sources, contract.train_sources(run.ids)),
        "holdout": (features.holdout, contract.holdout(run.ids)),
    }
    if features.audience is not None:
        tables["audience"] = (features.audience, contract.audience(run.ids))
    rows = {}
    for name, (frame, schema) in tables.items():
        with timed("features", name) as notes:
            rows[name] = run.tables.write(name, frame, schema)
            notes.append(f"{rows[name]:,} rows")
    return rows


def _judge(run: Run) -> GateReport:
    baseline = baseline_of(run, "interactions")
    return check_interactions(
        lambda: measure_interactions(run.tables.read("interactions")),
        run.settings.gates,
        baseline if isinstance(baseline, InteractionProfile) else None,
        run.manifest.request.overrides,
        ids=run.ids,
        as_of=run.as_of,
        run=run.run_id,
    )


if __name__ == "__main__":
    sys.exit(enter(build_features))
