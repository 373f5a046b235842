"""The measurements that plans rest on: `measured.json`, written by `python -m benchmarks.plan`."""

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conf.errors import ConfigError
from jobs.run.manifest import Manifest
from jobs.sizing.workload import Workload

FILE = Path(__file__).with_name("measured.json")
STAGES = ("features", "train", "topn", "publish")
"""Stages whose cost is planned; how long the last one waits for the loader, the plan of the push says."""
_KINDS = ("jvm", "driver", "workers")
_REMEDY = "measure anew: python -m benchmarks.plan"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StageCost(_Kept):
    """What a stage took."""

    seconds: float = Field(ge=0)
    core_seconds: dict[str, float]
    """User and system time by kind of process."""
    shuffle_bytes: int = Field(ge=0)
    peak_bytes: dict[str, int]

    @model_validator(mode="after")
    def _has_all_kinds(self) -> Self:
        for name, found in (("core_seconds", self.core_seconds), ("peak_bytes", self.peak_bytes)):
            if missing := [kind for kind in _KINDS if kind not in found]:
                raise ValueError(f"{name} has no {', '.join(missing)}")
            if any(value < 0 for value in found.values()):
                raise ValueError(f"{name} holds a negative number")
        return self

    @property
    def spark_seconds(self) -> float:
        """Core-seconds of the JVM and the Python workers, which more executors share."""
        return self.core_seconds["jvm"] + self.core_seconds["workers"]

    @property
    def driver_seconds(self) -> float:
        """Core-seconds of the Python driver, where training runs."""
        return self.core_seconds["driver"]

    @property
    def all_seconds(self) -> float:
        """Core-seconds of all processes."""
        return self.spark_seconds + self.driver_seconds


class SizedRun(_Kept):
    """A measured run."""

    scale: int = Field(ge=1)
    workload: Workload
    seconds: float = Field(gt=0)
    """From spark-submit to its end."""
    stages: dict[str, StageCost]

    @model_validator(mode="after")
    def _has_all_stages(self) -> Self:
        if missing := [name for name in STAGES if name not in self.stages]:
            raise ValueError(f"stages has no {', '.join(missing)}")
        return self

    @classmethod
    def of(cls, scale: int, manifest: Manifest, seconds: float) -> Self:
        """Returns a finished run; raises KeyError and ValidationError, also where older code made it."""
        stages = {
            name: StageCost(
                seconds=record.seconds,
                core_seconds={kind: record.core_seconds.get(kind, -1) for kind in _KINDS},
                shuffle_bytes=record.shuffle_bytes or 0,
                peak_bytes={kind: record.peak_bytes[kind] for kind in _KINDS},
            )
            for name in STAGES
            for record in (manifest.stages[name],)
        }
        return cls(scale=scale, workload=Workload.of(manifest), seconds=seconds, stages=stages)

    @property
    def peak(self) -> dict[str, int]:
        """The largest peak of any stage, by kind of process."""
        return {kind: max(stage.peak_bytes[kind] for stage in self.stages.values()) for kind in _KINDS}


class Measured(_Kept):
    """Runs of several sizes on one machine."""

    date: dt.date
    machine: str
    cores: int = Field(ge=1)
    heap_bytes: int = Field(ge=1)
    """Java's heap."""
    shared: bool
    """Whether other work ran beside them, so that seconds mean little and core-seconds a little less."""
    command: str
    runs: tuple[SizedRun, ...] = Field(min_length=3)
    """From the smallest to the largest; the last one is held out where the plan's error is told."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        scales = [run.scale for run in self.runs]
        if scales != sorted(set(scales)):
            raise ValueError(f"runs have the scales {scales}; each must be larger than the one before")
        events = [run.workload.events for run in self.runs]
        if events != sorted(set(events)):
            raise ValueError(f"runs have {events} events; each must have more than the one before")
        return self


def read(file: Path = FILE) -> Measured:
    """Returns the measurements. Raises ConfigError."""
    try:
        return Measured.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; {_REMEDY}") from error
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{file}: {at}: {first['msg']}; {_REMEDY}") from error


@cache
def measured() -> Measured:
    """Returns the measurements that come with the code. Raises ConfigError."""
    return read()
