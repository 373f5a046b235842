"""A search that was killed goes on where it was, makes no feature twice, and ends with a proposal."""

import datetime as dt
import os
import signal
import time
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna import load_study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from conf.connections import KafkaConnection
from conf.load import load_settings
from publish.connect.topics import ensure_topics
from publish.runs.erasures import Erasure, ErasureLog
from publish.wire.keys import ProductKeys
from tests.e2e.conftest import LAST, write_days
from tests.e2e.product import Product, Servers
from tests.e2e.submit import submitted
from tests.features.world import ago, events
from tests.support.odd_names import ODD

FLAGS = ("--as-of", str(LAST), "--study", "one", "--max-factors", "16")


def test_a_killed_search_goes_on_and_proposes(servers: Servers, tmp_path: Path) -> None:
    product = Product.create(servers, tmp_path / ODD, _settings(tmp_path / "data", days=6))
    with submitted(product, *FLAGS, "--trials", "1000", entry="tune_embeddings") as (job, log):
        while "trial 2/1000" not in log.read_text():
            assert job.poll() is None, log.read_text()
            time.sleep(0.05)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    tables = _tables(product)
    assert len(tables) == 8

    refused = product.change({"interactions": {"half_life_days": 3.5}}).tune(*FLAGS, "--trials", "2")
    assert refused.code == 2
    assert "settings.interactions.half_life_days was 7.0 and is 3.5" in refused.log

    done = _kept(product)
    assert done >= 2
    _forget(product, "7")
    ended = product.tune(*FLAGS, "--trials", str(done + 2))
    assert ended.code == 0, ended.log
    assert "judged by 40 users" in log.read_text()
    assert "judged by 39 users" in ended.log
    assert "made by earlier starts; 2 are missing" in ended.log
    assert _tables(product) == tables
    folder = product.home / "tuning" / product.name / "one"
    page = (folder / "proposal.md").read_text()
    assert f"{done + 2} trials: " in page
    assert "this is look 1 at it" in page

    _check_overlay(product, folder)
    parent, children = _logged(servers, product)
    assert [child.data.tags["discovery.trial"] for child in children] == [str(n + 1) for n in range(done + 2)]
    assert all(child.info.status == "FINISHED" for child in children)
    assert parent.data.metrics["trials"] == done + 2

    again = product.tune(*FLAGS, "--trials", str(done + 2))  # nothing is missing, and the hold-out is left alone
    assert again.code == 0, again.log
    assert "looking at" not in again.log
    assert (folder / "proposal.md").read_text() == page
    assert len(_logged(servers, product)[1]) == done + 2


def test_too_little_history_is_refused(servers: Servers, tmp_path: Path) -> None:
    product = Product.create(servers, tmp_path, _settings(tmp_path / "data", days=3))
    ended = product.tune("--as-of", str(LAST), "--trials", "2")
    assert ended.code == 2
    assert "not enough history to tune: trials are chosen by the 1 days before 2026-11-15" in ended.log
    assert "1 missing: 2026-11-12" in ended.log
    assert not (tmp_path / "tuning").exists()


def _settings(data: Path, *, days: int) -> dict[str, Any]:
    """Forty users, each of whom clicks another one of the six sources that their half of the users likes every day."""
    clicks = {
        day: events(ago(day), *((user, 101 + user % 2 * 6 + (user // 2 + day) % 6, "click") for user in range(1, 41)))
        for day in range(1, days + 1)
    }
    return {**write_days(data, clicks, product="tuned"), "split": {"holdout_days": 1, "min_users": 10}}


def _kept(product: Product) -> int:
    """Trials that the killed start left behind."""
    journal = JournalFileBackend(str(product.home / "tuning" / product.name / "one" / "optuna.journal"))
    return len(load_study(study_name="one", storage=JournalStorage(journal)).trials)


def _forget(product: Product, user: str) -> None:
    kafka = KafkaConnection(servers=product.servers.kafka)
    ensure_topics(kafka, ProductKeys(product.name), product.settings.publish)
    ErasureLog(kafka, product.name).append(Erasure(user=user, at=dt.datetime.now(dt.UTC), reason="asked for it"))


def _check_overlay(product: Product, folder: Path) -> None:
    """The overlay changes what the page says and nothing else."""
    page = (folder / "proposal.md").read_text()
    changes: dict[str, Any] = yaml.safe_load((folder / "proposal.yml").read_text())["train"]
    assert bool(changes) == ("a change of `train` is proposed" in page)
    changed = load_settings(product.config, (*product.overlays, folder / "proposal.yml"))
    train = product.settings.train.model_copy(update=changes)
    assert changed == product.settings.model_copy(update={"train": train})


def _tables(product: Product) -> dict[Path, int]:
    """When the features were written."""
    markers = (product.home / "tuning" / product.name / "one").glob("*/_SUCCESS")
    return {marker: marker.stat().st_mtime_ns for marker in markers}


def _logged(servers: Servers, product: Product) -> tuple[Run, list[Run]]:
    """The MLflow run of the study and those of its trials, in order."""
    client = MlflowClient(servers.mlflow)
    experiment = client.get_experiment_by_name(f"{product.name}-tuning")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "discovery.study" in run.data.tags)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, sorted(children, key=lambda run: int(run.data.tags["discovery.trial"]))
