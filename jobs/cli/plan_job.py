"""The whole job in `discovery plan`: what each stage takes on a given cluster, by measured constants."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from conf.base import format_bytes, parse_bytes
from conf.errors import ConfigError
from conf.settings import Settings
from jobs.cli.views.view import View, duration, table
from jobs.sizing.growth import FORMS, growth_of
from jobs.sizing.measured import Measured, measured
from jobs.sizing.plan import Check, Cluster, HeldOut, JobPlan, StagePlan, plan
from jobs.sizing.workload import Ratios, planned

_MOST = 10**15
_SPARK_SIZE = re.compile(r"([0-9]+)([kmgt])b?", re.IGNORECASE)
_SPARK_UNITS = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}


@dataclass(frozen=True)
class JobOptions:
    """What the command line says of the job and its cluster; None: not said."""

    users: int | None = None
    sources: int | None = None
    events: int | None = None
    interactions: int | None = None
    executors: int | None = None
    cores: int | None = None
    memory: int | None = None
    driver_cores: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anything is said but the number of users, which the push has, too."""
        return any(value is not None for name, value in asdict(self).items() if name != "users")


def count(text: str) -> int:
    """Returns 41000000 for 41e6, 41_000_000 or 41000000. Raises ValueError with what is expected."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (1 <= value <= _MOST and value == int(value)):
        raise ValueError(f"{text!r} is not a whole number from 1 to {_MOST:.0e}; write for example 41e6 or 41000000")
    return int(value)


def heap(text: str) -> int:
    """Returns the bytes of 16g, as Spark writes sizes, or of 16 GiB. Raises ValueError."""
    found = _SPARK_SIZE.fullmatch(text.strip())
    size = parse_bytes(f"{found[1]} {_SPARK_UNITS[found[2].lower()]}" if found else text)
    if size < 2**20:
        raise ValueError(f"{text!r} is less than a MiB; write for example 16g or 512m")
    return size


def plan_job(options: JobOptions, settings: Settings, lists: int) -> JobPlan:
    """Returns the cost of the job. Raises ConfigError where its size is not given whole."""
    if options.users is None or options.sources is None or options.events is None:
        needed = {"--users": options.users, "--sources": options.sources, "--events": options.events}
        missing = ", ".join(name for name, value in needed.items() if value is None)
        raise ConfigError(
            f"the plan of the whole job needs {missing}: for example --users 41e6 --sources 11e6 --events 7e9"
        )
    if options.interactions is not None and options.interactions > options.users * options.sources:
        raise ConfigError("--interactions: more than pairs of a user and a source")
    known = measured()
    workload = planned(
        settings,
        Ratios.of(known.runs[-1].workload),
        users=options.users,
        sources=options.sources,
        events=options.events,
        interactions=options.interactions,
        lists=lists,
    )
    cores = options.cores or known.cores
    cluster = Cluster(options.executors or 1, cores, options.memory or known.heap_bytes, options.driver_cores or cores)
    return plan(workload, cluster, known)


def view_of(job: JobPlan, settings: Settings, loading_seconds: float) -> View:
    """Returns the plan of the job as text and data; loading: from the plan of the push."""
    known = measured()
    held = HeldOut.of(known)
    misfit = job.misfit(settings.train.max_memory, settings.train.algorithm)
    rows = [
        [
            stage.name,
            f"{stage.spark_core_seconds / 3600:,.2f}",
            f"{stage.driver_core_seconds / 3600:,.2f}",
            format_bytes(stage.shuffle_bytes),
            duration(stage.seconds),
            f"{held.of_stage(stage.name):+.0%}".replace("-", "−"),
        ]
        for stage in job.stages
    ]
    rows.append(["serve", "–", "–", "–", duration(loading_seconds), "–"])
    rows.append(
        [
            "all",
            f"{sum(stage.spark_core_seconds for stage in job.stages) / 3600:,.2f}",
            f"{sum(stage.driver_core_seconds for stage in job.stages) / 3600:,.2f}",
            format_bytes(job.shuffle_bytes),
            duration(job.seconds + loading_seconds),
            f"{held.of_stage('all'):+.0%}".replace("-", "−"),
        ]
    )
    header = ("stage", "Spark, core-hours", "driver, core-hours", "shuffles", "wall", "error")
    lines = [_size(job), table(rows, header), *_memory(job, settings), *_words(job, known, held)]
    lines.append(f"job      {'it fits' if misfit is None else f'does not fit: {misfit}'}")
    return View("\n".join(lines), _data(job, known, held, misfit))


def _size(job: JobPlan) -> str:
    of, on = job.workload, job.cluster
    return (
        f"job      {of.users:,} users, {of.sources:,} sources, {of.events:,} events in the windows, "
        f"{of.interactions:,} interactions; {of.factors} factors, {of.iterations} iterations, lists of {of.n}\n"
        f"cluster  {_many(on.executors, 'executor')} of {_many(on.cores, 'core')} and {format_bytes(on.memory)} of "
        f"heap; the driver trains on {_many(on.driver_cores, 'core')}"
    )


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _memory(job: JobPlan, settings: Settings) -> list[str]:
    memory = job.memory
    return [
        f"driver   {format_bytes(memory.driver)} of Python beside Java: {format_bytes(job.training_bytes)} are the "
        f"training (train.max_memory {format_bytes(settings.train.max_memory)})",
        f"executor spark.executor.memoryOverhead {format_bytes(memory.overhead)} beside the heap where shared pages "
        f"count in each worker (YARN), {format_bytes(memory.overhead_shared)} where they count once (cgroups); "
        f"{format_bytes(job.shuffle_bytes / job.cluster.executors)} of disk for shuffles",
    ]


def _words(job: JobPlan, known: Measured, held: HeldOut) -> list[str]:
    largest = known.runs[-1].workload
    by = " and ".join(f"×{scale}" for scale in held.by)
    lines = [
        f"measured {known.date}, {known.machine}, {_many(known.cores, 'core')}"
        f"{', beside other work' if known.shared else ''}; up to {largest.events:,} events, {largest.users:,} users, "
        f"{largest.sources:,} sources; error: ×{held.scale} as planned by {by} ({known.command})"
    ]
    if job.extrapolated > 1:
        lines.append(
            f"beware   {job.extrapolated:,.0f} times the events of the largest measured run: no cluster, network, skew "
            "or straggler was measured, and no training that leaves the processor's caches for so many gigabytes"
        )
    return lines


def _data(job: JobPlan, known: Measured, held: HeldOut, misfit: str | None) -> dict[str, Any]:
    constants = {name: asdict(lines) | {"spark_per": FORMS[name].per} for name, lines in growth_of(known.runs).items()}
    memory = job.memory
    return {
        "workload": job.workload.model_dump(),
        "cluster": asdict(job.cluster),
        "stages": {stage.name: _stage(stage) for stage in job.stages},
        "core_seconds": job.core_seconds,
        "seconds": job.seconds,
        "shuffle_bytes": job.shuffle_bytes,
        "memory": asdict(memory) | {"overhead": memory.overhead, "overhead_shared": memory.overhead_shared},
        "training_bytes": job.training_bytes,
        "extrapolated": job.extrapolated,
        "fits": misfit is None,
        "misfit": misfit,
        "constants": constants,
        "measured": known.model_dump(mode="json", exclude={"runs"}) | {"scales": [run.scale for run in known.runs]},
        "held_out": {"scale": held.scale, "by": held.by, "checks": [_check(check) for check in held.checks]},
    }


def _stage(stage: StagePlan) -> dict[str, Any]:
    figures = asdict(stage) | {"core_seconds": stage.core_seconds}
    return {name: value for name, value in figures.items() if name != "name"}


def _check(check: Check) -> dict[str, Any]:
    return asdict(check) | {"error": check.error, "met": check.met}
