"""Plans a whole run on a cluster: core-seconds, shuffles, memory and wall time per stage, and the plan's own error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from jobs.sizing.growth import FORMS, growth_of
from jobs.sizing.measured import STAGES, Measured, SizedRun
from jobs.sizing.workload import Workload
from models.training.memory import MAX_PAIRS

_INDEX_BYTES = (5, 29)
"""Of a candidate source that workers map: per factor, and once (docs/memory.md)."""
_OWN_BYTES = 4
"""Of a candidate source, in each worker on its own."""
GOAL = 0.2
"""How far a prediction may be from what was measured."""


@dataclass(frozen=True)
class Cluster:
    """What the job runs on."""

    executors: int
    cores: int
    """Of each executor."""
    memory: int
    """Bytes of each executor's Java heap: spark.executor.memory."""
    driver_cores: int
    """Cores of the driver's machine, which trains."""


@dataclass(frozen=True)
class StagePlan:
    """The cost of a stage."""

    name: str
    spark_core_seconds: float
    driver_core_seconds: float
    shuffle_bytes: float
    seconds: float
    """On this cluster, if it keeps its cores as busy as the measured runs kept theirs."""

    @property
    def core_seconds(self) -> float:
        """Of Spark and of the driver's Python."""
        return self.spark_core_seconds + self.driver_core_seconds


@dataclass(frozen=True)
class Memory:
    """Peak bytes of the kinds of processes."""

    jvm: float
    """An executor's Java: its heap, and what it takes beside."""
    driver: float
    """The driver's Python, where training runs."""
    workers: float
    """An executor's Python workers, one per core; what they map and share counts in each."""
    mapped: float
    """The candidates that all workers of a machine map and share."""
    heap: float
    """The part of `jvm` that spark.executor.memory sets."""
    cores: int

    @property
    def overhead(self) -> float:
        """What an executor needs as spark.executor.memoryOverhead where shared pages count in each worker (YARN)."""
        return self.jvm - self.heap + self.workers

    @property
    def overhead_shared(self) -> float:
        """The same where shared pages count once (cgroups)."""
        return self.overhead - (self.cores - 1) * self.mapped


@dataclass(frozen=True)
class JobPlan:
    """The cost of a whole run."""

    workload: Workload
    cluster: Cluster
    stages: tuple[StagePlan, ...]
    memory: Memory
    training_bytes: int
    """The part of the driver's memory that `train.max_memory` limits."""
    extrapolated: float
    """Events, beside those of the largest measured run."""

    @property
    def core_seconds(self) -> float:
        """Of all stages."""
        return sum(stage.core_seconds for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Wall time of all stages, one after the other."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def shuffle_bytes(self) -> float:
        """Of all stages."""
        return sum(stage.shuffle_bytes for stage in self.stages)

    def misfit(self, max_memory: int, algorithm: str) -> str | None:
        """Returns why the job would stop: `als` trains in one process; None where it would not."""
        if algorithm != "als":
            return None
        if self.workload.interactions > MAX_PAIRS:
            return f"als trains at most {MAX_PAIRS:,} interactions in one process: set train.algorithm to als_spark"
        if self.training_bytes > max_memory:
            return (
                "training does not fit train.max_memory: raise it, on a driver that has the memory, "
                "or set train.algorithm to als_spark"
            )
        return None


def plan(workload: Workload, cluster: Cluster, measured: Measured, runs: Sequence[SizedRun] | None = None) -> JobPlan:
    """Returns the cost of a run by all measured runs, or by some of them."""
    runs = measured.runs if runs is None else runs
    growth, stages = growth_of(runs), []
    for name in STAGES:
        forms, lines = FORMS[name], growth[name]
        spark = lines.spark.growing(forms.spark(workload)) + forms.known(workload)
        driver = lines.driver.growing(forms.driver(workload))
        fixed = lines.spark.fixed + lines.driver.fixed
        full = fixed / measured.cores + spark / (cluster.executors * cluster.cores) + driver / cluster.driver_cores
        stages.append(
            StagePlan(
                name,
                lines.spark.fixed + spark,
                lines.driver.fixed + driver,
                lines.shuffle.at(forms.shuffle(workload)),
                full / _busy(name, measured, runs),
            )
        )
    return JobPlan(
        workload,
        cluster,
        tuple(stages),
        _memory(workload, cluster, measured, runs),
        workload.training_bytes,
        workload.events / runs[-1].workload.events,
    )


def _busy(name: str, measured: Measured, runs: Sequence[SizedRun]) -> float:
    """Returns the share of the measured machine's cores that a stage kept busy; 1 where other work ran beside it."""
    used = sum(run.stages[name].all_seconds for run in runs)
    there = measured.cores * sum(run.stages[name].seconds for run in runs)
    return 1.0 if measured.shared or not 0 < used < there else used / there


def _memory(workload: Workload, cluster: Cluster, measured: Measured, runs: Sequence[SizedRun]) -> Memory:
    """The JVM fills the heap that it is given; Python's part is libraries, and what grows by known formulas."""
    beside_heap = max(0.0, max(run.peak["jvm"] for run in runs) - measured.heap_bytes)
    libraries = max(run.peak["driver"] - run.workload.training_bytes for run in runs)
    worker = max(run.peak["workers"] / measured.cores - _mapped(run.workload) - _own(run.workload) for run in runs)
    mapped = _mapped(workload)
    return Memory(
        jvm=cluster.memory + beside_heap,
        driver=max(0, libraries) + workload.training_bytes,
        workers=cluster.cores * (max(0.0, worker) + mapped + _own(workload)),
        mapped=mapped,
        heap=cluster.memory,
        cores=cluster.cores,
    )


def _mapped(workload: Workload) -> float:
    per_factor, once = _INDEX_BYTES
    return (per_factor * workload.factors + once) * workload.sources


def _own(workload: Workload) -> float:
    return _OWN_BYTES * workload.sources


@dataclass(frozen=True)
class Check:
    """A figure of the held-out run, as planned by the smaller ones and as measured."""

    name: str
    planned: float
    measured: float
    unit: str
    """core-seconds, seconds or bytes."""
    counts: bool = True
    """Whether GOAL holds for it."""

    @property
    def error(self) -> float:
        """Planned ÷ measured − 1."""
        return self.planned / self.measured - 1 if self.measured else 0.0

    @property
    def met(self) -> bool:
        """Whether the error is within GOAL."""
        return abs(self.error) <= GOAL


@dataclass(frozen=True)
class HeldOut:
    """How well the smaller measured runs plan the largest."""

    scale: int
    by: tuple[int, ...]
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """Returns the errors for the largest run."""
        *known, held = measured.runs
        here = Cluster(1, measured.cores, measured.heap_bytes, measured.cores)
        made = plan(held.workload, here, measured, known)
        checks = [
            Check(stage.name, stage.core_seconds, held.stages[stage.name].all_seconds, "core-seconds")
            for stage in made.stages
        ]
        every = [held.stages[name] for name in STAGES]
        checks += [
            Check("all", made.core_seconds, sum(stage.all_seconds for stage in every), "core-seconds"),
            Check("all", made.seconds, sum(stage.seconds for stage in every), "seconds", not measured.shared),
            Check("shuffles", made.shuffle_bytes, sum(stage.shuffle_bytes for stage in every), "bytes"),
        ]
        memory, peak = made.memory, held.peak
        planned_peaks = {"jvm": memory.jvm, "driver": memory.driver, "workers": memory.workers}
        checks += [Check(kind, planned_peaks[kind], peak[kind], "bytes") for kind in planned_peaks]
        checks.append(Check("memory", sum(planned_peaks.values()), sum(peak.values()), "bytes"))
        return cls(held.scale, tuple(run.scale for run in known), tuple(checks))

    def of_stage(self, name: str) -> float:
        """Returns the error of a stage's core-seconds."""
        return next(check.error for check in self.checks if (check.name, check.unit) == (name, "core-seconds"))
