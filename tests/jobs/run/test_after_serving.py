"""What follows when a run serves: the champion, and room in the work folder."""

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import pytest
import redis

from conf.environment import Environment
from conf.settings import Settings
from jobs.cli.context import ProductContext
from jobs.cli.serving import note_that_serves
from jobs.run.after_serving import note_in_manifest, note_serving
from jobs.run.manifest import StageRecord, load_manifest, run_folder, save_manifest
from jobs.storage.store import MARKER, Storage
from models.registry import ModelRegistry
from publish.clock import utc_now
from publish.operate.control import Control
from tests.features.world import settings
from tests.jobs.lineages import register, run_of
from tests.jobs.runs import manifest_of
from tests.publish.support.pushing import publish_directly
from tests.support.model_store import version_at

_NUMBERS = itertools.count()
RUN = "20261116T030000Z-20261116-1"


def record(facts: dict[str, Any]) -> StageRecord:
    return StageRecord(finished_at=manifest_of().created_at, code_version="abc", seconds=1, peak_bytes={}, facts=facts)


def serving(redis_url: str) -> tuple[Settings, Control]:
    """A product of its own whose run RUN serves."""
    client = redis.Redis.from_url(redis_url)
    product = settings().model_copy(update={"product": f"noted_{next(_NUMBERS)}"})
    publish_directly(client, product.product, run=RUN, first=True)
    control = Control.connect(client, product.product)
    control.promote(RUN)
    return product, control


def test_old_folders_go(tmp_path: Path, redis_url: str, model_store: str) -> None:
    client = redis.Redis.from_url(redis_url)
    product = settings().model_copy(update={"product": f"noted_{next(_NUMBERS)}"})
    home = Storage(str(tmp_path))
    days = [f"202611{day:02d}T030000Z-202611{day:02d}-1" for day in range(1, 8)]
    for run in days:
        home.write_bytes(f"runs/{product.product}/{run}/x", b"")
    home.write_bytes(f"runs/{product.product}/not-a-run/x", b"")
    for run in (days[0], days[2]):  # with shadow lists: one that served lately, one that never did
        home.write_bytes(f"runs/{product.product}/{run}/shadow/{MARKER}", b"")
    control = Control.connect(client, product.product)
    for run in (days[0], days[1], days[6]):
        publish_directly(client, product.product, run=run, first=run == days[0])
        control.promote(run)
    later = Control.connect(client, product.product, clock=lambda: utc_now() + dt.timedelta(hours=2))
    later.housekeeping.clear(days[0])  # Redis still holds the lists of days[1]

    note_serving(product, home, control, ModelRegistry(model_store), days[6])

    kept = sorted(path.name for path in (tmp_path / "runs" / product.product).iterdir())
    assert kept == [days[0], days[1], *days[3:], "not-a-run"]


def test_a_run_and_its_control_count_as_one(tmp_path: Path, redis_url: str, model_store: str) -> None:
    product = settings().model_copy(update={"product": f"noted_{next(_NUMBERS)}"})
    home = Storage(str(tmp_path))
    runs = [f"202611{day:02d}T030000Z-202611{day:02d}-1" for day in range(1, 7)]
    for run in (*runs, *(f"{run}-control" for run in runs)):
        home.write_bytes(f"runs/{product.product}/{run}/x", b"")
    control = Control.connect(redis.Redis.from_url(redis_url), product.product)
    note_serving(product, home, control, ModelRegistry(model_store), runs[-1])
    kept = {path.name for path in (tmp_path / "runs" / product.product).iterdir()}
    newest = runs[-product.runs.keep_runs :]
    assert kept == {*newest, *(f"{run}-control" for run in newest)}


def test_the_aliases_follow_the_pointer_forward_and_back(tmp_path: Path, redis_url: str, model_store: str) -> None:
    product, control = serving(redis_url)
    client, registry, home = redis.Redis.from_url(redis_url), ModelRegistry(model_store), Storage(str(tmp_path))
    later = ["20261123T030000Z-20261123-1", "20261130T030000Z-20261130-1"]
    versions = []
    for run in (RUN, *later):
        versions.append(register(run_of(registry, tmp_path, run, product=product.product)))
        if run != RUN:
            publish_directly(client, product.product, run=run)

    def named(run: str) -> list[str | None]:
        note_serving(product, home, control, registry, run)
        return [version_at(registry, product.product, alias) for alias in ("champion", "previous", "challenger")]

    assert named(RUN) == [versions[0], None, versions[2]]
    control.promote(later[0])
    assert named(later[0]) == [versions[1], versions[0], versions[2]]
    control.promote(later[1])
    assert named(later[1]) == [versions[2], versions[1], None]
    control.rollback(reason="complaints")
    assert named(later[0]) == [versions[1], None, None]


def test_the_manifest_says_what_is_loaded_and_readable(tmp_path: Path, redis_url: str) -> None:
    product, control = serving(redis_url)
    home, run = Storage(str(tmp_path)), RUN
    folder = run_folder(home, product.product, run)
    save_manifest(folder, manifest_of().with_stage("publish", record({})))

    note_in_manifest(product, home, control, run)

    manifest = load_manifest(folder)
    assert manifest is not None
    lists = control.registry.get(run).announcement.users
    assert manifest.fact("serve", "counts") == {"loaded": lists, "readable": lists}
    assert manifest.fact("serve", "share_bp") == int(control.pointers.read().share_bp)


def test_a_fault_in_noting_changes_nothing_about_serving(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    product, control = serving(redis_url)
    home, run = Storage(str(tmp_path)), RUN
    (tmp_path / "mlflow.db").write_text("no database")

    with caplog.at_level("WARNING"):
        note_serving(product, home, control, ModelRegistry(f"sqlite:///{tmp_path}/mlflow.db"), run)

    assert "could not be noted everywhere" in caplog.text
    assert control.pointers.read().treatment == run


def test_an_operator_without_a_registry_may_still_promote(tmp_path: Path, redis_url: str) -> None:
    product, control = serving(redis_url)
    environment = Environment(home=f"file://{tmp_path}", kafka=None, redis=None, mlflow=None)
    note_that_serves(ProductContext(product, environment, redis.Redis.from_url(redis_url)), RUN)
    assert control.pointers.read().treatment == RUN
