"""An Airflow home of its own for these tests, and DAG bags for any configuration folder; no database, no network."""

import datetime as dt
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
JOB_ENVIRONMENT = REPO / ".venv"
SPARK_CONNECTION = '{"conn_type": "spark", "host": "local[2]", "extra": {"deploy-mode": "client"}}'

# before the first import of Airflow, which reads all of it
for name in ("DISCOVERY_CONF", "DISCOVERY_JOB_ENV", "DISCOVERY_HOME", "SPARK_CONF_DIR"):
    os.environ.pop(name, None)
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__DAGS_FOLDER=str(REPO / "dags"),
    AIRFLOW_CONN_SPARK_DEFAULT=SPARK_CONNECTION,
)
sys.path.append(str(REPO / "dags"))  # as Airflow does with the folder of a DAG bundle

Bag = Callable[[Path], Any]

MONDAY = dt.datetime(2026, 11, 16, 3, tzinfo=dt.UTC)
PRODUCT = """
product: {name}
schedule: "0 3 * * MON"
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden files instead of comparing them")


@pytest.fixture
def bag(monkeypatch: pytest.MonkeyPatch) -> Bag:
    """Loads the DAG files as the scheduler would with DISCOVERY_CONF set to a folder."""
    from airflow.dag_processing.dagbag import DagBag

    def load(folder: Path) -> Any:
        monkeypatch.setenv("DISCOVERY_CONF", str(folder))
        return DagBag(dag_folder=REPO / "dags", bundle_path=REPO / "dags")

    return load


def dag_run(dag: Any, *, run_after: dt.datetime = MONDAY, end: dt.datetime | None = MONDAY, **fields: Any) -> Any:
    """A DAG run as a task sees it: by default the scheduled one of Monday 2026-11-16."""
    from airflow.sdk.api.datamodels._generated import DagRun

    start = None if end is None else end - dt.timedelta(days=7)
    values: dict[str, Any] = {
        "dag_id": dag.dag_id,
        "run_id": f"scheduled__{run_after.isoformat()}",
        "logical_date": start,
        "data_interval_start": start,
        "data_interval_end": end,
        "run_after": run_after,
        "start_date": run_after,
        "end_date": None,
        "run_type": "scheduled",
        "state": "running",
        "consumed_asset_events": [],
        "partition_key": None,
    }
    return DagRun(**(values | fields))


def rendered(dag: Any, task_id: str, *, run: Any = None, **params: object) -> Any:
    """A copy of the task with its templates rendered for a DAG run that was started with these parameters."""
    from airflow.sdk.definitions.param import process_params

    run = dag_run(dag) if run is None else run
    task = dag.get_task(task_id).prepare_for_execution()
    checked = process_params(dag, task, params, suppress_exception=False)
    task.render_template_fields({"dag": dag, "dag_run": run, "run_id": run.run_id, "params": checked})
    return task
