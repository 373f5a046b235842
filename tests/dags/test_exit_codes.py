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
{says}exit {code}
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


def run(dag: Any, environment: Path, task_id: str, code: int, *, try_number: int = FIRST, says: str = "") -> str:
    """Executes the task while both programs of the environment end with `code`; what they were called with.

    says: a line of shell before that.
    """
    log = environment / "log"
    for name in ("spark-submit", "discovery"):
        (environment / name).write_text(SCRIPT.format(log=log, code=code, says=says))
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


STOPPED = """03:00:00 run       starts as of 2026-11-16
03:00:07 error     an error of an earlier line
03:00:08 gate      input_drift: FAILED (80 held, 1 failed, 3 skipped, 0 overridden)
03:00:08 warning   the alert did not reach https://host/…: it answered 500
[Stage 7:===>      (1 + 1) / 2]03:00:09 error     gate input_drift: run r1 is stopped, what serves goes on to serve
  clicks: events a day 12,400 on the days 2026-11-09 to 2026-11-15, where 30,100 to 41,000 is usual
  guards against: part of the events is lost
Have wrong data delivered again and start a new run, or:
  only this once  start a new run with --override clicks.events="…"
03:00:10 spark      WARN ShutdownHook: slow
"""


@pytest.mark.parametrize(("code", "final"), [(2, True), (1, False)])
def test_a_task_fails_with_the_sentence_of_the_job(dag: Any, environment: Path, code: int, final: bool) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    (environment / "said").write_text(STOPPED)
    said = f"cat {environment / 'said'} >&2\n"
    with pytest.raises(AirflowFailException if final else AirflowException) as raised:
        run(dag, environment, "build_features", code, says=said)
    first, second, *rest = str(raised.value).splitlines()
    head = "build_features is not tried again" if final else "build_features"
    assert first == f"{head}: gate input_drift: run r1 is stopped, what serves goes on to serve"
    assert second.startswith("  clicks: events a day 12,400 on the days 2026-11-09 to 2026-11-15, where 30,100 to")
    assert rest[2] == '  only this once  start a new run with --override clicks.events="…"'
    assert rest[3].startswith("Cannot execute: ")
    assert "an error of an earlier line" not in "\n".join([first, second, *rest[:3]])


def test_the_log_of_the_real_job_is_understood(bag: Bag, tmp_path: Path) -> None:
    """The product file says enough for a DAG and too little for the job, which refuses it before it needs servers."""
    from airflow.sdk.exceptions import AirflowFailException

    (tmp_path / "music.yml").write_text(PRODUCT.format(name="music"))
    task = rendered(bag(tmp_path).dags["music"], "build_features")
    with pytest.raises(AirflowFailException) as raised:
        task.execute({"ti": SimpleNamespace(try_number=FIRST, max_tries=task.retries)})
    first = str(raised.value).splitlines()[0]
    assert first.startswith("build_features is not tried again: ")
    assert "datasets: Field required" in first


def test_a_job_without_a_word_fails_with_that_of_the_provider(dag: Any, environment: Path) -> None:
    from airflow.sdk.exceptions import AirflowException

    with pytest.raises(AirflowException, match=r"^train_embeddings: Cannot execute: "):
        run(dag, environment, "train_embeddings", 1)


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
    deadline = time.monotonic() + 180
    while not (environment / "child").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int((environment / "child").read_text())
    task.on_kill()
    thread.join(timeout=180)
    assert not thread.is_alive()
    while _runs(child):  # for a moment after it was killed
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether the process is there and not a zombie that nobody has reaped yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
