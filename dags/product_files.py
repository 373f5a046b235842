"""Reads from product files what the DAGs need: name, schedule and limits; the job checks everything else.

A product file is a `*.yml` directly in the configuration folder (overlays are in folders below it). One without a
`schedule` gets no DAG. A broken one is reported and does not affect the others.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from airflow.sdk.exceptions import AirflowTimetableInvalid
from airflow.timetables.interval import CronDataIntervalTimetable
from strict_yaml import YamlError, read_yaml

_DAYS_30 = 30 * 24 * 60


class ProductFileError(ValueError):
    """A product file cannot become a DAG; the message says what is wrong and what to write."""


@dataclass(frozen=True)
class DagSettings:
    """The `dag:` mapping of a product file; every key has a default, minutes may be fractions."""

    retries: int = 2
    """Number of retries of a failed task."""
    retry_minutes: float = 5
    """Minutes before the first retry; doubles each time, up to `max_retry_minutes`."""
    max_retry_minutes: float = 60
    """Longest time before a retry."""
    wait_retries: int = 12
    """Number of further retries of build_features while input has not arrived (exit code 75)."""
    wait_minutes: float = 30
    """Minutes before build_features is retried."""
    build_features_minutes: float = 180
    """Time limit of one try; likewise the next four."""
    train_embeddings_minutes: float = 240
    precompute_topn_minutes: float = 180
    publish_topn_minutes: float = 120
    wait_until_serving_minutes: float = 120
    run_minutes: float = 24 * 60
    """Time limit of the whole DAG run, including waits and retries."""
    pool: str = "default_pool"
    """Airflow pool of the tasks."""
    driver_memory: str | None = None
    """`--driver-memory` of spark-submit, e.g. 4g; null: as Spark is configured."""

    @classmethod
    def parse(cls, mapping: object) -> "DagSettings":
        """Returns the settings of a `dag:` mapping; raises ProductFileError for an unknown key or a wrong type."""
        if not isinstance(mapping, Mapping):
            raise ProductFileError(f"dag: must hold keys and values, holds {type(mapping).__name__}")
        known = {field.name: field.type for field in fields(cls)}
        for key, value in mapping.items():
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                raise ProductFileError(f"unknown key 'dag.{key}'; {hint}")
            _check(f"dag.{key}", value, known[key])
        return cls(**mapping)


@dataclass(frozen=True)
class Product:
    """A product file with a schedule."""

    name: str
    config: Path
    schedule: str
    dag: DagSettings


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
                if taken := scheduled.get(product.name):
                    raise ProductFileError(
                        f"product {product.name!r} is already that of {taken.config.name}; rename one"
                    )
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
    name = tree.get("product")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise ProductFileError(f"product: {name!r} must be lower-case letters, digits and _, starting with a letter")
    settings = tree.get("dag")
    return Product(name, path, _cron(schedule), DagSettings() if settings is None else DagSettings.parse(settings))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_yaml(path.read_text(encoding="utf-8")).tree
    except OSError as error:
        raise ProductFileError(f"cannot be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError as error:
        raise ProductFileError(f"is not YAML: {error}") from None
    except YamlError as error:
        raise ProductFileError(str(error)) from None


def _cron(schedule: object) -> str:
    example = "write five cron fields in UTC, e.g. 0 3 * * MON"
    if not isinstance(schedule, str):
        raise ProductFileError(f"schedule: {schedule!r} is not text; {example}")
    try:
        CronDataIntervalTimetable(schedule, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        raise ProductFileError(f"schedule: {schedule!r} is not a cron expression ({error}); {example}") from None
    return schedule


def _check(key: str, value: object, wanted: Any) -> None:
    kinds = get_args(wanted) or (wanted,)
    allowed = (*kinds, int) if float in kinds else kinds
    if isinstance(value, bool) or not isinstance(value, allowed):
        words = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ProductFileError(f"{key}: {value!r} is not of type {words}")
    if wanted is int and not 0 <= value <= 100:  # type: ignore[operator]
        raise ProductFileError(f"{key}: {value} is outside 0 … 100")
    if wanted is float and not 0 < value <= _DAYS_30:  # type: ignore[operator]
        raise ProductFileError(f"{key}: {value} must be more than 0 and at most {_DAYS_30} minutes")
