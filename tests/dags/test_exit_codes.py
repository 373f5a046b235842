"""What a task makes of the exit code of what it runs: real processes, in a job environment of two small scripts."""

import contextlib
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PRODUCT, Bag, rendered

SCRIPT = """#!/bin/sh
echo "$PYSPARK_PYTHON" "$@" >> "{log}"
exit {code}
"""
FIRST, LAST_FAILURE, LAST = 1, 3, 15  # of build_features: 2 retries after failures, 12 more for late input


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    monkeypatch.setenv("DISCOVERY_JOB_ENV", str(tmp_path / "env"))
    return tmp_path / "env" / "bin"


@pytest.fixture
def dag(bag: Bag, environment: Path, tmp_path: Path) -> Any:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "music.yml").write_text(PRODUCT.format(name="music"))
    return bag(folder).dags["music"]


def run(dag: Any, environment: Path, task_id: str, code: int, *, try_number: int = FIRST) -> str:
    """Executes the task while both programs of the environment end with `code`; what they were called with."""
    log = environment / "log"
    for name in ("spark-submit", "discovery"):
        (environment / name).write_text(SCRIPT.format(log=log, code=code))
        (environment / name).chmod(0o755)
    task = rendered(dag, task_id)
    task.execute({"ti": SimpleNamespace(try_number=try_number, max_tries=task.retries)})
    return log.read_text()


def test_a_stage_is_submitted_into_the_job_environment(dag: Any, environment: Path) -> None:
    called = run(dag, environment, "train_embeddings", 0)
    assert called.startswith(f"{environment / 'python'} --master local[2] ")
    assert "jobs/train_embeddings.py --config " in called


@pytest.mark.parametrize(
    ("task_id", "code", "try_number"),
    [
        ("build_features", 2, FIRST),  # bad input stays bad
        ("build_features", 1, LAST_FAILURE),  # the rest of the retries is for late input
        ("train_embeddings", 2, FIRST),
        ("wait_until_serving", 2, FIRST),
        ("wait_until_serving", 3, FIRST),  # held
        ("wait_until_serving", 4, FIRST),  # failed
        ("wait_until_serving", 5, FIRST),  # past the deadline
    ],
)
def test_no_retry_where_it_is_pointless(dag: Any, environment: Path, task_id: str, code: int, try_number: int) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=rf"code(?: is:)? {code}"):
        run(dag, environment, task_id, code, try_number=try_number)


@pytest.mark.parametrize(
    ("task_id", "code", "try_number"),
    [
        ("build_features", 1, FIRST),
        ("build_features", 1, LAST_FAILURE - 1),
        ("build_features", 75, LAST_FAILURE),  # input that has not arrived
        ("build_features", 75, LAST),
        ("train_embeddings", 1, FIRST),
        ("wait_until_serving", 1, FIRST),  # `discovery wait` failed, e.g. no connection to Redis
    ],
)
def test_a_retry_where_it_may_help(dag: Any, environment: Path, task_id: str, code: int, try_number: int) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=rf"code(?: is:)? {code}") as raised:
        run(dag, environment, task_id, code, try_number=try_number)
    assert not isinstance(raised.value, AirflowFailException)


def test_a_missing_connection_fails_before_anything_is_submitted(
    dag: Any, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.delenv("AIRFLOW_CONN_SPARK_DEFAULT")
    with pytest.raises(AirflowFailException, match="connection 'spark_default' is missing"):
        run(dag, environment, "build_features", 0)
    assert not (environment / "log").exists()


def test_a_killed_stage_leaves_no_process_behind(dag: Any, environment: Path) -> None:
    """Java is spark-submit's process, the driver's Python a child of it, which survives it."""
    submit = environment / "spark-submit"
    submit.write_text(
        f"#!/bin/sh\nsleep 300 &\necho $! > {environment}/child.draft\n"
        f"mv {environment}/child.draft {environment}/child\nwait\n"
    )
    submit.chmod(0o755)
    task = rendered(dag, "train_embeddings")

    def execute() -> None:
        from airflow.sdk.exceptions import AirflowException

        with contextlib.suppress(AirflowException):  # the exit code of what was killed
            task.execute({"ti": SimpleNamespace(try_number=1, max_tries=2)})

    thread = threading.Thread(target=execute)
    thread.start()
    deadline = time.monotonic() + 10
    while not (environment / "child").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int((environment / "child").read_text())
    task.on_kill()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Whether the process is there and not a zombie that nobody has reaped yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
