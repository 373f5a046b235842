"""Errors that are no bug end an entry with a line that says what to do, instead of a stack of calls."""

import logging
from collections.abc import Iterator

import pytest

from jobs.runtime.exit import report

LOST = (
    "An error occurred while calling o1.parquet.\n: org.apache.spark.SparkException: Job aborted due to stage failure: "
    "Task 0 in stage 3.0 failed 4 times, most recent failure: Lost task 0.3 in stage 3.0 (TID 9): "
    "ExecutorLostFailure (executor 4 exited caused by one of the running tasks) Reason: Command exited with code 137\n"
    "Driver stacktrace:\n\tat org.apache.spark.scheduler.DAGScheduler"
)


@pytest.fixture(autouse=True)
def _same_log() -> Iterator[None]:
    """Puts back the log's handlers, which an entry changes in its process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail(message: str) -> int:
    def work() -> None:
        raise RuntimeError(message)

    return report(work, again="start it again")


def test_spark_that_gave_up_says_why_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(LOST) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Task 0 in stage 3.0 failed 4 times" in line
    assert "Command exited with code 137; see why executors end" in line
    assert "then start it again; nothing was published" in line
    assert "Driver stacktrace" not in line


@pytest.mark.parametrize(
    "reason",
    [
        "ShuffleMapStage 5 (parquet at null:0) has failed the maximum allowable number of times: 4. Most recent "
        "failure reason:\norg.apache.spark.shuffle.FetchFailedException",
        "Authorized committer (attemptNumber=0, stage=7, partition=0) failed; but task commit success, data "
        "duplication may happen.",
    ],
)
def test_other_ways_to_lose_executors(capsys: pytest.CaptureFixture[str], reason: str) -> None:
    assert fail(f"Job aborted due to stage failure: {reason}") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("nothing was published by what is unfinished")


def test_another_failure_of_a_stage_keeps_its_stack() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        fail("Job aborted due to stage failure: Task 0 failed 4 times: PythonException: ZeroDivisionError")
