"""The DAG for real: `airflow dags test` submits into the job environment, against a real broker and Redis."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import JOB_ENVIRONMENT, REPO, SPARK_CONNECTION

PYTHON = JOB_ENVIRONMENT / "bin" / "python"
DISCOVERY = JOB_ENVIRONMENT / "bin" / "discovery"
AIRFLOW = Path(sys.executable).parent / "airflow"
DAY = "2026-11-16"
WORLD = ["--users", "800", "--sources", "200", "--days", "20", "--events", "40000", "--as-of", DAY]
ONE_USER = "import sys, pyarrow.dataset as d; print(d.dataset(sys.argv[1]).head(1, columns=['user_id'])[0][0])"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The product of the repository, without retries: a test should fail at once."""
    tree = yaml.safe_load((REPO / "conf" / "prod_discovery.yml").read_text())
    folder = tmp_path / "conf"
    folder.mkdir()
    path = folder / "prod_discovery.yml"
    path.write_text(yaml.safe_dump({**tree, "dag": {"retries": 0, "wait_retries": 0, "run_minutes": 15}}))
    return path


@pytest.fixture
def environment(home: Path, config: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What an Airflow worker would be given, with a broker and a Redis that live as long as the test."""
    stack = [str(PYTHON), "-m", "deploy.servers.local_stack"]
    try:
        subprocess.run([*stack, "up", "--home", str(home)], cwd=REPO, check=True, timeout=600)
        recorded = json.loads((home / "stack.json").read_text())["processes"]
        addresses = {name: value for process in recorded for name, value in process["environment"].items()}
        yield {
            **{name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "LANG") if name in os.environ},
            **addresses,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "DISCOVERY_HOME": str(home),
            "DISCOVERY_CONF": str(config.parent),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_SPARK_DEFAULT": SPARK_CONNECTION,
        }
    finally:
        subprocess.run([*stack, "down", "--home", str(home)], cwd=REPO, check=True, timeout=600)


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process for as long as the block runs; then it and all that it started are ended."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)


def finished(command: list[str], environment: dict[str, str], log: Path, *, seconds: float) -> str:
    """The output of a command that must succeed."""
    started = time.monotonic()
    with running(command, environment, log) as process, contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    text = log.read_text(errors="replace")
    took = time.monotonic() - started
    told = "\n".join(line[:300] for line in text.splitlines() if "No tasks to run" not in line)
    assert process.returncode == 0, f"{command} ended with {process.returncode} after {took:.0f} s:\n{told[-12000:]}"
    return text


@pytest.mark.real_run
def test_a_weekly_run_serves(home: Path, config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    world = [str(PYTHON), "-m", "deploy.demo.world", str(home / "data"), *WORLD]
    finished(world, environment, tmp_path / "world.log", seconds=3000)
    finished([str(AIRFLOW), "db", "migrate"], environment, tmp_path / "migrate.log", seconds=3000)
    loader = [str(DISCOVERY), "load", "--config", str(config)]
    start = [str(AIRFLOW), "dags", "test", "prod_discovery", f"{DAY}T03:00:00+00:00", "--conf", '{"first": true}']
    with running(loader, environment, tmp_path / "loader.log") as process:
        finished(start, environment, tmp_path / "airflow.log", seconds=900)
        assert process.poll() is None, (tmp_path / "loader.log").read_text()

    [run] = (home / "runs" / "prod_discovery").iterdir()
    assert run.name.endswith("-20261116-1")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["stages"].keys() == {"features", "train", "topn", "publish", "serve"}
    counts = {**manifest["stages"]["publish"]["facts"]["counts"], **manifest["stages"]["serve"]["facts"]["counts"]}
    assert counts.keys() == {"computed", "produced", "loaded", "readable"}
    assert len(set(counts.values())) == 1
    assert f"{run}/report.html" in (tmp_path / "airflow.log").read_text()
    assert "Went live for" in (run / "report.html").read_text()
    with contextlib.closing(sqlite3.connect(tmp_path / "airflow" / "airflow.db")) as known:
        links = dict(known.execute("SELECT task_id, value FROM xcom WHERE key = '_link_RunReport'"))
    assert len(links) == 5
    assert {json.loads(link) for link in links.values()} == {(run / "report.html").as_uri()}
    user = finished(
        [str(PYTHON), "-c", ONE_USER, str(home / "data" / "audience")], environment, tmp_path / "user.log", seconds=300
    )
    lookup = [str(DISCOVERY), "lookup", user.strip(), "--config", str(config)]
    answer = finished(lookup, environment, tmp_path / "lookup.log", seconds=300)
    assert run.name in answer
