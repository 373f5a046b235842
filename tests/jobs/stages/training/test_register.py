"""A version says all that made it, and a push refuses every version that the run's own pipeline did not register."""

import datetime as dt
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.tracking import MlflowClient

from conf.digest import sha256_of
from conf.experiment import RunPart
from jobs.experiments.decisions import DecisionStore
from jobs.experiments.store import ExperimentStore
from jobs.run.context import Run
from jobs.stages.training.register import holdout_of, note_judged, refuse_without_lineage
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from models.registry.lineage import LINEAGE_TAG, Lineage, NoLineage, check_lineage
from tests.features.world import AS_OF
from tests.jobs.experiments.decided import decision
from tests.jobs.experiments.test_store import experiment
from tests.jobs.lineages import made, register, run_of, trained
from tests.jobs.runs import RUN_ID

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NUMBERS = itertools.count()
BEFORE = "20261109T030000Z-20261109-1"


@pytest.fixture
def client(model_store: str) -> MlflowClient:
    return MlflowClient(model_store, model_store)


@pytest.fixture
def run(model_store: str, tmp_path: Path) -> Run:
    """A run of a product of its own that was trained and registered."""
    run = run_of(ModelRegistry(model_store), tmp_path, product=f"lineage_{next(_NUMBERS)}")
    register(run)
    return run


def version_of(run: Run) -> str:
    return str(run.manifest.fact("train", "model")["version"])


def lineage_file(run: Run, client: MlflowClient) -> Path:
    uri = client.get_run(run.manifest.fact("train", "model")["mlflow_run"]).info.artifact_uri
    return Path(uri.removeprefix("file://"), "lineage.json")


def rewrite(run: Run, client: MlflowClient, document: dict[str, Any]) -> None:
    """Another document, which the version names by its hash."""
    text = json.dumps(document)
    lineage_file(run, client).write_text(text)
    client.set_model_version_tag(run.settings.product, version_of(run), LINEAGE_TAG, sha256_of(text))
    model = run.manifest.fact("train", "model") | {"lineage": sha256_of(text)}
    run.manifest = trained(run.manifest, model)
    note_judged(run, run.manifest)


def refused(run: Run) -> str:
    with pytest.raises(NoLineage) as caught:
        refuse_without_lineage(run)
    assert caught.value.exit_code == 2
    assert "is not published; start a new run" in str(caught.value)
    return str(caught.value)


def test_a_version_says_what_the_ramp_decided_about_its_share(run: Run, tmp_path: Path) -> None:
    registry, product = run.servers.registry, run.settings.product
    kept = ExperimentStore.of(Storage(str(tmp_path)), product)
    opened = experiment(product=product, first_day=AS_OF - dt.timedelta(weeks=1))
    kept.add(opened)
    part = RunPart(experiment=opened.name, role="treatment", control="none", opened=opened.opened)
    decisions = DecisionStore.of(kept, opened.name)

    def tags(run_id: str, **changes: Any) -> dict[str, str]:
        child = run_of(registry, tmp_path, run_id, product=product, **{"experiment": part, **changes})
        version = registry.version(product, register(child))
        assert version is not None
        return {name: value for name, value in version.tags.items() if "ramp" in name or "experiment" in name}

    assert tags("20261116T040000Z-20261116-2") == {}  # nothing was decided
    decisions.write(decision(product=product, share_bp=2_500, run_share_bp=2_500, reasons=("a " * 800,)))
    assert tags("20261116T050000Z-20261116-3") == {
        "discovery.experiment": opened.name,
        "discovery.ramp": "raise",
        "discovery.ramp_share": "25 %",
        "discovery.ramp_reasons": ("a " * 800)[:1_000],
    }
    control = part.model_copy(update={"role": "control", "control": "pinned"})
    assert tags("20261116T060000Z-20261116-4", experiment=control) == {}
    assert tags("20261116T060000Z-20261116-5", experiment=None) == {}
    decisions.write(decision(product=product))  # another share than that of the run, which a person named
    assert tags("20261116T070000Z-20261116-6") == {}
    (tmp_path / "experiments" / product / opened.name / "decisions" / "week-01.json").write_text("{}")
    assert tags("20261116T080000Z-20261116-7") == {}  # no reason to lose a model


def test_a_version_says_all_that_made_it(run: Run, tmp_path: Path) -> None:
    registry, product = run.servers.registry, run.settings.product
    child = run_of(registry, tmp_path, "20261123T030000Z-20261123-1", product=product, serving_before=RUN_ID)
    wanted = made(child)
    version = registry.version(product, register(child))
    assert version is not None
    checked = check_lineage(registry, version)
    lineage = checked.lineage
    assert checked.faults == ()
    assert lineage == wanted
    assert (lineage.parent_run, lineage.parent_version) == (RUN_ID, version_of(run))
    assert lineage.settings == child.manifest.settings
    seeds = {"train.seed": run.settings.train.seed, "judge.seed": run.settings.judge.seed}
    assert lineage.seeds.items() >= seeds.items()
    assert [(day.day.isoformat(), day.fingerprint) for given in lineage.inputs for day in given.days] == [
        ("2026-11-13", "f3"),
        ("2026-11-14", "f2"),
        ("2026-11-15", "f1"),
    ]
    assert lineage.code.keys() == {"run", "features", "train"}
    assert lineage.libraries == child.manifest.libraries
    assert version.tags.items() >= lineage.tags.items()
    logged = registry.logged(version.mlflow_run or "")
    assert logged is not None
    assert logged.metrics["judged.ndcg"] == lineage.judged["ndcg"]
    refuse_without_lineage(child)


def test_the_first_version_has_no_parent(run: Run) -> None:
    assert made(run).parent_version is None
    refuse_without_lineage(run)


def test_an_attempt_that_goes_on_keeps_the_version_and_its_lineage(run: Run, client: MlflowClient) -> None:
    text, version = lineage_file(run, client).read_text(), version_of(run)
    assert register(run, started_by="somebody else") == version
    assert lineage_file(run, client).read_text() == text
    refuse_without_lineage(run)


@pytest.mark.parametrize(
    "tag", ["run_id", "as_of", "config_hash", "code_version", "inputs", "parent_version", "lineage"]
)
def test_a_tag_that_is_missing_or_another_is_refused(run: Run, client: MlflowClient, tag: str) -> None:
    name = f"discovery.{tag}"
    client.set_model_version_tag(run.settings.product, version_of(run), name, "another")
    assert name in refused(run)
    client.delete_model_version_tag(run.settings.product, version_of(run), name)
    assert f"lacks the tags {name}" in refused(run)


def test_a_manifest_that_is_not_the_one_gate_2_passed_is_refused(run: Run) -> None:
    passed = run.manifest
    topn = passed.stages["topn"]
    for other in (
        passed.with_stage("topn", topn.model_copy(update={"made": {"lists": "c0ffee"}})),
        passed.with_stage("features", passed.stages["features"].model_copy(update={"seconds": 2.0})),
        passed.model_copy(update={"serving_before": BEFORE}),
    ):
        run.manifest = other
        assert f"manifest.json of run {RUN_ID} is not the one that gate 2 passed (discovery.judged)" in refused(run)
    run.manifest = passed.with_stage("publish", topn).model_copy(update={"failure": "DeliveryError: Kafka is away"})
    refuse_without_lineage(run)
    note_judged(run, other)  # an attempt that died before it could keep its record
    note_judged(run, passed)
    refuse_without_lineage(run)


def test_a_lineage_tells_the_digests_of_what_the_run_held(model_store: str, tmp_path: Path) -> None:
    run = run_of(ModelRegistry(model_store), tmp_path, product=f"lineage_{next(_NUMBERS)}")
    features = run.manifest.stages["features"].model_copy(update={"made": {"interactions": "1", "holdout": "2"}})
    run.manifest = run.manifest.with_stage("features", features)
    register(run)
    refuse_without_lineage(run)
    run.manifest = run.manifest.with_stage("features", features.model_copy(update={"made": {"interactions": "1"}}))
    note_judged(run, run.manifest)
    assert f"its lineage.json and manifest.json of run {RUN_ID} hold other digests of holdout" in refused(run)


@pytest.mark.parametrize(
    "field", ["inputs", "settings", "config_hash", "code", "seeds", "libraries", "training", "judged"]
)
def test_a_lineage_that_lacks_something_is_refused(run: Run, client: MlflowClient, field: str) -> None:
    whole = json.loads(lineage_file(run, client).read_text())
    empty = type(whole[field])()
    rewrite(run, client, whole | {field: empty})
    assert f"lacks {field}" in refused(run)
    rewrite(run, client, {name: value for name, value in whole.items() if name != field})
    assert f"lacks {field}" in refused(run)
    rewrite(run, client, whole)
    refuse_without_lineage(run)


def test_a_version_from_before_recipes_competed_is_of_its_settings(run: Run, client: MlflowClient) -> None:
    whole = json.loads(lineage_file(run, client).read_text())
    recipe = whole.pop("recipe")
    del whole["decision"]
    rewrite(run, client, whole)
    refuse_without_lineage(run)
    version = run.servers.registry.version(run.settings.product, version_of(run))
    assert version is not None
    lineage = check_lineage(run.servers.registry, version).lineage
    assert lineage is not None
    assert (lineage.recipe, lineage.decision.winner) == (recipe, "challenger")


def test_a_lineage_that_was_changed_is_refused(run: Run, client: MlflowClient) -> None:
    path = lineage_file(run, client)
    path.write_text(path.read_text().replace("0.1843", "0.2843"))
    assert LINEAGE_TAG in refused(run)


def test_a_lineage_that_is_no_json_or_is_gone_is_refused(run: Run, client: MlflowClient) -> None:
    path = lineage_file(run, client)
    path.write_text("{")
    assert "lineage.json lacks" in refused(run)
    path.unlink()
    assert "holds no lineage.json" in refused(run)
    shutil.rmtree(path.parent)
    assert "holds no lineage.json" in refused(run)


def test_a_version_or_mlflow_run_that_is_gone_is_refused(run: Run, client: MlflowClient) -> None:
    client.delete_run(run.manifest.fact("train", "model")["mlflow_run"])
    assert "behind it is gone" in refused(run)
    client.delete_model_version(run.settings.product, version_of(run))
    assert "in MLflow is gone" in refused(run)


def test_an_mlflow_run_that_did_not_finish_is_refused(run: Run, client: MlflowClient) -> None:
    client.set_terminated(run.manifest.fact("train", "model")["mlflow_run"], "FAILED")
    assert "did not finish" in refused(run)


def test_a_version_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    other = run_of(run.servers.registry, tmp_path, BEFORE, product=run.settings.product)
    register(other)
    run.manifest = trained(run.manifest, other.manifest.fact("train", "model"))
    assert f"not the one that run {RUN_ID} registered" in refused(run)


def by_hand(run: Run, client: MlflowClient, mlflow_run: str | None, source: str) -> str:
    """A version that a person made with all the tags of the run's own."""
    product = run.settings.product
    tags = client.get_model_version(product, version_of(run)).tags
    return str(client.create_model_version(product, source, mlflow_run, tags=tags).version)


def _without_run(run: Run, client: MlflowClient) -> str:
    return by_hand(run, client, None, run.folder.uri)


def _with_a_run_by_hand(run: Run, client: MlflowClient) -> str:
    mine = client.create_run(run.servers.registry._experiment(run.settings.product)).info.run_id  # as a notebook does
    client.log_text(mine, lineage_file(run, client).read_text(), "lineage.json")
    client.set_terminated(mine)
    return by_hand(run, client, mine, run.folder.uri)


def _with_other_factors(run: Run, client: MlflowClient) -> str:
    return by_hand(run, client, run.manifest.fact("train", "model")["mlflow_run"], "/elsewhere/factors")


@pytest.mark.parametrize("make", [_without_run, _with_a_run_by_hand, _with_other_factors])
def test_a_version_made_by_hand_is_refused(
    run: Run, client: MlflowClient, make: Callable[[Run, MlflowClient], str]
) -> None:
    version = make(run, client)
    refuse_without_lineage(run)  # it stands beside the run's own and changes nothing
    assert version_of(run) == run.servers.registry.version_of(run.settings.product, RUN_ID).number  # type: ignore[union-attr]
    run.manifest = trained(run.manifest, run.manifest.fact("train", "model") | {"version": version})
    refused(run)
    by_itself = run.servers.registry.version(run.settings.product, version)
    assert by_itself is not None
    assert check_lineage(run.servers.registry, by_itself).faults


def test_lineage_of_newer_code_can_be_read(run: Run) -> None:
    document = made(run).model_dump(mode="json") | {"not_thought_of_yet": 1}
    assert Lineage.model_validate_json(json.dumps(document)) == made(run)


def test_a_holdout_is_known_by_its_pairs_in_any_order(spark: "SparkSession") -> None:
    pairs = [(user, source, 1.0) for user in range(40) for source in range(3)]

    def known(rows: list[tuple[int, int, float]]) -> tuple[int, str]:
        found = holdout_of(spark.createDataFrame(rows, "user_id long, source_id long, weight double"), 2)
        return found.pairs, found.digest

    assert known(pairs) == known(list(reversed(pairs)))
    assert (
        len({known(pairs), known(pairs[1:]), known([*pairs[1:], (0, 7, 1.0)]), known([*pairs[1:], (7, 0, 1.0)])}) == 4
    )
    assert known([(1, 2, 1.0)]) != known([(2, 1, 1.0)])
