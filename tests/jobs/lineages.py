"""Model versions with lineage, as the weekly job leaves them, without training anything."""

import datetime as dt
from pathlib import Path
from typing import Any, cast

from conf.settings import Settings
from jobs.run.context import Run
from jobs.run.manifest import Manifest, StageRecord
from jobs.run.servers import RunServers
from jobs.stages.training.register import lineage_of, note_judged, register_lineage
from jobs.storage.store import Storage
from models.champion import find_champion
from models.registry import ModelRegistry
from models.registry.lineage import Holdout, Lineage
from publish.runs.lease import Lease
from tests.features.world import AS_OF, ago, settings
from tests.jobs.runs import RUN_ID, FakeLease, manifest_of

JUDGED: dict[str, int | float | str] = {
    "k": 20,
    "replicates": 200,
    "users": 1_234,
    "cold.users": 34,
    "ndcg": 0.1843,
    "ndcg.low": 0.1791,
    "ndcg.high": 0.1896,
    "recall": 0.2401,
    "recall.low": 0.2333,
    "recall.high": 0.2467,
    "cold.ndcg": 0.0912,
    "cold.ndcg.low": 0.0633,
    "cold.ndcg.high": 0.1204,
    "popularity.ndcg": 0.0931,
    "popularity.ndcg.low": 0.0889,
    "popularity.ndcg.high": 0.0975,
    "popularity.recall": 0.1123,
    "over_popularity.ndcg": 0.0912,
    "over_popularity.ndcg.low": 0.0861,
    "over_popularity.ndcg.high": 0.0963,
    "coverage": 0.412,
    "popularity.coverage": 0.021,
    "popularity.remark": "a remark",
}


def run_of(registry: ModelRegistry, home: Path, run_id: str = RUN_ID, *, product: str = "test", **manifest: Any) -> Run:
    """A run whose features are built, with a registry and no other server."""
    known = manifest_of(**manifest)
    before = known.serving_before
    if "champion" not in manifest and before is not None:
        known = known.model_copy(update={"champion": find_champion(registry, product, before)})
    request = known.request.model_copy(update={"run_id": run_id, "product": product})
    days = [{"day": str(ago(n)), "fingerprint": f"f{n}", "rows": 100 * n, "bytes": 9, "ignored": 0} for n in (3, 2, 1)]
    inputs = [
        {"name": "clicks", "start": str(ago(3)), "end": str(AS_OF), "days": days, "judged_days": [str(ago(3))]},
    ]
    known = known.model_copy(update={"request": request}).with_stage(
        "features", _record({"inputs": inputs, "champion_inputs": []})
    )
    servers = RunServers(product, *cast("list[Any]", [None, None, registry, None, None]))
    return Run(product_of(product), Storage(str(home)), servers, cast("Lease", FakeLease()), known)


def product_of(name: str) -> Settings:
    """The settings of a product of a test's own."""
    return settings().model_copy(update={"product": name})


def made(run: Run, **changes: Any) -> Lineage:
    """What made the run's factors, and how good they were judged."""
    facts = {"training": {"interactions": 600, "users": 60, "sources": 12}, "judged": {"skipped": "no Spark here"}}
    facts["decision"] = {"winner": "challenger", "reason": "nothing served before, so there is no champion"}
    holdout = Holdout(days=2, pairs=5_678, digest="00c0ffee00c0ffee")
    return lineage_of(run, facts).model_copy(update={"judged": JUDGED, "holdout": holdout, **changes})


def register(run: Run, **changes: Any) -> str:
    """Registers the run's factors, ends its training and passes gate 2; returns the version."""
    model = register_lineage(run, made(run, **changes))
    run.manifest = trained(run.manifest, model).with_stage("topn", _record({}))
    note_judged(run, run.manifest)
    return model["version"]


def trained(manifest: Manifest, model: dict[str, str]) -> Manifest:
    """The manifest after the stage that registered a model."""
    return manifest.with_stage("train", _record({"model": model}))


def _record(facts: dict[str, Any]) -> StageRecord:
    at = dt.datetime(2026, 11, 16, 4, tzinfo=dt.UTC)
    return StageRecord(finished_at=at, code_version="abc", seconds=1, peak_bytes={}, facts=facts)
