"""The plan of a whole job: its constants, what it grows with, and its own error."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import ConfigError
from jobs.run.manifest import StageRecord
from jobs.sizing.growth import Line
from jobs.sizing.measured import FILE, STAGES, SizedRun, measured, read
from jobs.sizing.plan import Cluster, HeldOut, JobPlan, plan
from jobs.sizing.workload import Ratios, Workload, planned
from models.training.memory import DataSize, estimate
from tests.features.world import settings
from tests.jobs.runs import manifest_of

HERE = Cluster(1, 2, 2**30, 2)
SIZES = st.fixed_dictionaries(
    {
        "users": st.integers(1, 10**8),
        "sources": st.integers(10, 10**8),
        "events": st.integers(10, 10**11),
        "lists": st.integers(1, 10**8),
    }
)
CLUSTERS = st.builds(Cluster, st.integers(1, 2000), st.integers(1, 64), st.integers(2**30, 2**38), st.integers(1, 64))


def sized(**sizes: int) -> Workload:
    return planned(settings(), Ratios.of(measured().runs[-1].workload), **sizes)


def figures(job: JobPlan) -> list[float]:
    """Everything that a plan says, none of which may fall when the job grows."""
    memory = [job.memory.jvm, job.memory.driver, job.memory.workers, job.memory.overhead, job.memory.overhead_shared]
    stages = [(stage.spark_core_seconds, stage.driver_core_seconds, stage.shuffle_bytes) for stage in job.stages]
    return [job.core_seconds, job.seconds, job.shuffle_bytes, *memory, *(one for stage in stages for one in stage)]


@given(SIZES, CLUSTERS, st.sampled_from(["users", "sources", "events", "lists"]), st.integers(1, 1000))
def test_more_of_anything_never_costs_less(sizes: dict[str, int], cluster: Cluster, grows: str, times: int) -> None:
    less = plan(sized(**sizes), cluster, measured())
    more = plan(sized(**{**sizes, grows: sizes[grows] * times}), cluster, measured())
    assert all(a <= b * (1 + 1e-9) for a, b in zip(figures(less), figures(more), strict=True))


@given(SIZES, CLUSTERS, st.integers(1, 100))
def test_more_executors_or_cores_never_take_more_time_nor_other_core_seconds(
    sizes: dict[str, int], cluster: Cluster, times: int
) -> None:
    one = plan(sized(**sizes), cluster, measured())
    for executors, cores, driver in ((times, 1, 1), (1, times, 1), (1, 1, times)):
        larger = Cluster(
            cluster.executors * executors, cluster.cores * cores, cluster.memory, cluster.driver_cores * driver
        )
        other = plan(sized(**sizes), larger, measured())
        assert other.seconds <= one.seconds * (1 + 1e-9)
        assert other.core_seconds == one.core_seconds


@given(st.floats(0, 1e6), st.floats(0, 1e3), st.lists(st.floats(1, 1e6), min_size=2, max_size=5, unique=True))
def test_a_line_is_found_again(fixed: float, per_unit: float, units: list[float]) -> None:
    made = Line.through([(x, fixed + per_unit * x) for x in units])
    assert made.fixed >= 0
    assert made.per_unit >= 0
    scale = fixed + per_unit * max(units) + 1e-6
    assert made.at(sum(units) / len(units)) == pytest.approx(
        fixed + per_unit * sum(units) / len(units), abs=scale * 0.01
    )


def test_a_cost_that_falls_is_taken_for_a_fixed_one() -> None:
    falling = Line.through([(1, 40), (4, 36)])
    assert falling.per_unit == 0
    assert 36 <= falling.fixed <= 40
    through_the_origin = Line.through([(1, 1), (4, 6)])
    assert through_the_origin.fixed == 0
    assert 1 < through_the_origin.per_unit < 1.5


def test_memory_of_training_is_what_training_itself_estimates() -> None:
    job = plan(sized(users=41_000_000, sources=11_000_000, events=7_000_000_000, interactions=10**9), HERE, measured())
    assert job.training_bytes == estimate(DataSize(10**9, 41_000_000, 11_000_000), job.workload.factors)
    assert job.memory.driver > job.training_bytes
    assert "train.max_memory" in str(job.misfit(4 * 2**30, "als"))
    assert job.misfit(4 * 2**30, "als_spark") is None
    assert job.misfit(2**40, "als") is None
    most = plan(sized(users=10**8, sources=10**7, events=10**11, interactions=2**31), HERE, measured())
    assert "als_spark" in str(most.misfit(2**60, "als"))


def test_shared_pages_count_once_or_in_each_worker() -> None:
    job = plan(sized(users=10**6, sources=10**6, events=10**8), Cluster(10, 4, 2**34, 8), measured())
    assert job.memory.overhead - job.memory.overhead_shared == pytest.approx(3 * job.memory.mapped)
    assert job.memory.jvm > job.memory.heap == 2**34


def test_interactions_are_at_most_all_pairs() -> None:
    assert sized(users=2, sources=10, events=10**6).interactions == 20


def test_errors_are_those_of_the_largest_run_by_the_others() -> None:
    held = HeldOut.of(measured())
    assert held.scale == measured().runs[-1].scale
    assert {check.name for check in held.checks} >= {*STAGES, "all", "shuffles", "memory"}
    run = measured().runs[-1]
    for check in held.checks:
        assert check.error == pytest.approx(check.planned / check.measured - 1)
    whole = next(check for check in held.checks if (check.name, check.unit) == ("all", "core-seconds"))
    assert whole.measured == pytest.approx(sum(stage.all_seconds for stage in run.stages.values()))


def test_cores_are_as_busy_as_they_were_measured_unless_other_work_ran_beside() -> None:
    alone, beside = (measured().model_copy(update={"shared": shared}) for shared in (False, True))
    work = sized(users=10**6, sources=10**5, events=10**8)
    for stage, full in zip(plan(work, HERE, alone).stages, plan(work, HERE, beside).stages, strict=True):
        costs = [run.stages[stage.name] for run in measured().runs]
        busy = sum(cost.all_seconds for cost in costs) / measured().cores / sum(cost.seconds for cost in costs)
        assert full.seconds == pytest.approx(full.core_seconds / HERE.cores)
        assert stage.seconds == pytest.approx(full.seconds / busy)


def test_a_run_of_older_code_is_no_measurement() -> None:
    record = StageRecord(
        finished_at=manifest_of().created_at,
        code_version="abc",
        seconds=1,
        peak_bytes={"jvm": 1, "driver": 1, "workers": 1},
        facts={},
    )
    older = manifest_of()
    for name in STAGES:
        older = older.with_stage(name, record)
    with pytest.raises(ValueError, match="negative"):
        SizedRun.of(1, older, 10)


def spoiled(change: Any) -> str:
    tree = json.loads(FILE.read_text())
    change(tree)
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "JSON"),
        (spoiled(lambda tree: tree["runs"].pop()), "runs"),
        (spoiled(lambda tree: tree["runs"].reverse()), "larger than the one before"),
        (spoiled(lambda tree: tree.update(cores=0)), "cores"),
        (spoiled(lambda tree: tree.update(more=1)), "more"),
        (spoiled(lambda tree: tree["runs"][0]["stages"].pop("topn")), "topn"),
        (spoiled(lambda tree: tree["runs"][1]["stages"]["train"]["core_seconds"].pop("jvm")), "jvm"),
        (spoiled(lambda tree: tree["runs"][1]["stages"]["train"]["core_seconds"].update(jvm=-1)), "negative"),
        (spoiled(lambda tree: tree["runs"][2]["workload"].update(events=0)), "events"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_the_place(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "measured.json").write_text(content)
    with pytest.raises(ConfigError, match="measure anew: python -m benchmarks") as refused:
        read(tmp_path / "measured.json")
    assert word in str(refused.value)
    assert "measured.json" in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "nothing.json")
