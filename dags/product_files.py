"""Reads from product files what the DAGs need: name, schedule and limits; the job checks everything else.

A product file is a `*.yml` directly in the configuration folder (overlays are in folders below it). One without a
`schedule` gets no DAG. A broken one is reported and does not affect the others.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from airflow.sdk.exceptions import AirflowTimetableInvalid
from airflow.timetables.interval import CronDataIntervalTimetable
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from strict_yaml import YamlError, read_yaml

_DAYS_30 = 30 * 24 * 60


class ProductFileError(ValueError):
    """A product file cannot become a DAG; the message says what is wrong and what to write."""


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise ValueError(f"{name!r} must be lower-case letters, digits and _, starting with a letter")
    return name


def _cron(schedule: str) -> str:
    try:
        CronDataIntervalTimetable(schedule, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        raise ValueError(
            f"{schedule!r} is not a cron expression ({error}); write five cron fields in UTC, e.g. 0 3 * * MON"
        ) from None
    return schedule


_Cron = Annotated[str, AfterValidator(_cron)]
_Count = Annotated[int, Field(ge=0, le=100)]
_Minutes = Annotated[float, Field(gt=0, le=_DAYS_30)]


class DagSettings(BaseModel):
    """The `dag:` mapping of a product file; every key has a default, minutes may be fractions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    retries: _Count = 2
    """Number of retries of a failed task."""
    retry_minutes: _Minutes = 5
    """Minutes before the first retry; doubles each time, up to `max_retry_minutes`."""
    max_retry_minutes: _Minutes = 60
    """Longest time before a retry."""
    wait_retries: _Count = 12
    """Number of further retries of build_features, measure_outcomes and decide_share while input has not arrived (exit
    code 75)."""
    wait_minutes: _Minutes = 30
    """Minutes before these are retried."""
    build_features_minutes: _Minutes = 180
    """Time limit of one try; likewise the next four."""
    train_embeddings_minutes: _Minutes = 240
    precompute_topn_minutes: _Minutes = 180
    publish_topn_minutes: _Minutes = 120
    wait_until_serving_minutes: _Minutes = 120
    run_minutes: _Minutes = 24 * 60
    """Time limit of the whole DAG run, including waits and retries."""
    pool: str = "default_pool"
    """Airflow pool of the tasks."""
    driver_memory: str | None = None
    """`--driver-memory` of spark-submit, e.g. 4g; null: as Spark is configured."""
    land_exposures_minutes: _Minutes = 60
    """Time limit of one try; likewise the next two."""
    measure_outcomes_minutes: _Minutes = 180
    decide_share_minutes: _Minutes = 30
    outcomes_schedule: _Cron | None = "0 5 * * *"
    """Cron expression in UTC, once a day, of the DAG that measures outcomes if exposures are enabled; null: none."""
    refresh_schedule: _Cron | None = None
    """Cron expression in UTC of a second DAG, whose runs keep the factors that serve (`--refresh`); null: none."""


class Product(BaseModel):
    """A product file with a schedule."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, AfterValidator(_name), Field(alias="product")]
    config: Path
    schedule: _Cron
    dag: DagSettings = DagSettings()
    exposures: Any = None
    """The mapping of the product file, which the job checks; likewise the next one."""
    rollout: Any = None

    @property
    def has_ramp(self) -> bool:
        """Whether the share of an experiment is decided before each run."""
        return isinstance(self.rollout, Mapping) and self.rollout.get("ramp") is not None

    @property
    def outcomes_schedule(self) -> str | None:
        """The cron expression of the DAG that measures outcomes; None if exposures are not enabled."""
        enabled = isinstance(self.exposures, Mapping) and self.exposures.get("enabled") is True
        return self.dag.outcomes_schedule if enabled else None

    @property
    def outcomes_id(self) -> str:
        """The id of the DAG that measures outcomes."""
        return f"{self.name}_outcomes"

    @property
    def dag_ids(self) -> set[str]:
        """The ids of all of the product's DAGs."""
        return {*self.schedules} | ({self.outcomes_id} if self.outcomes_schedule else set())

    @property
    def schedules(self) -> dict[str, str]:
        """The cron expression of each DAG that makes runs, by the DAG's id."""
        refresh = self.dag.refresh_schedule
        return {self.name: self.schedule} | ({} if refresh is None else {f"{self.name}_refresh": refresh})


@dataclass(frozen=True)
class Products:
    """The scheduled products by name, and the error of each broken file."""

    scheduled: dict[str, Product]
    broken: dict[Path, str]


def config_folder() -> Path:
    """Returns DISCOVERY_CONF, or the folder conf/ beside the folder of the DAGs."""
    named = os.environ.get("DISCOVERY_CONF", "")
    return Path(named).absolute() if named else Path(__file__).resolve().parent.parent / "conf"


def read_products(folder: Path) -> Products:
    """Returns the products of a configuration folder; errors are in `broken`, none is raised."""
    if not folder.is_dir():
        return Products({}, {folder: "is not a folder; set DISCOVERY_CONF to the one with the product files"})
    scheduled: dict[str, Product] = {}
    broken: dict[Path, str] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            if product := read_product(path):
                for other in scheduled.values():
                    for taken in sorted(product.dag_ids & other.dag_ids):
                        raise ProductFileError(f"product {taken!r} is already that of {other.config.name}; rename one")
                scheduled[product.name] = product
        except ProductFileError as error:
            broken[path] = str(error)
    return Products(scheduled, broken)


def read_product(path: Path) -> Product | None:
    """Returns the product of one file, or None if it has no schedule; raises ProductFileError."""
    tree = _read(path)
    schedule = tree.get("schedule")
    if schedule is None:
        return None
    try:
        return Product.model_validate({**tree, "config": path})
    except ValidationError as error:
        raise ProductFileError("; ".join(map(_explain, error.errors()))) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_yaml(path.read_text(encoding="utf-8")).tree
    except OSError as error:
        raise ProductFileError(f"cannot be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError as error:
        raise ProductFileError(f"is not YAML: {error}") from None
    except YamlError as error:
        raise ProductFileError(str(error)) from None


def _explain(error: Mapping[str, Any]) -> str:
    """Returns what is wrong with a value, and what is allowed."""
    key, message = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    if error["type"] in ("missing", "value_error"):
        return f"{key}: {message}"
    if error["type"] != "extra_forbidden":
        return f"{key}: {message} (got {error['input']!r})"
    known = list(DagSettings.model_fields)
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"
