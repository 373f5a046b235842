"""A command waits for no library that it does not need: which ones are imported when it ends."""

import subprocess
import sys

import pytest

from conf.connections import KafkaConnection
from jobs.cli.app import COMMANDS, imported
from publish.wire.announcement import Announcement

CLIENTS = {"redis", "confluent_kafka"}
SETTINGS = {"pydantic", "yaml"}
LISTS = {"google.protobuf"}
TABLES = {"pyarrow", "numpy"}
HEAVY = {
    "pandas",
    "numba",
    "scipy",
    "sklearn",
    "mlflow",
    "jinja2",
    "matplotlib",
    "great_expectations",
    "prometheus_client",
}
SPARK = {"pyspark", "implicit"}
ALL = CLIENTS | SETTINGS | LISTS | TABLES | HEAVY | SPARK


def imported_by(*words: str) -> set[str]:
    """Returns those of ALL that a command imports, in a process of its own, until it ends well."""
    code = "import atexit, sys; atexit.register(lambda: print('imported', *sys.modules, file=sys.stderr)); "
    code += "from jobs.cli import main; main()"
    argv = [sys.executable, "-c", code, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)
    *_, last = done.stderr.splitlines()
    assert last.startswith("imported ")
    return ALL.intersection(last.split())


def test_status(broker: KafkaConnection, serving: Announcement) -> None:
    assert imported_by("status") == CLIENTS | SETTINGS


def test_lookup(broker: KafkaConnection, serving: Announcement) -> None:
    assert imported_by("lookup", "7") == {"redis"} | SETTINGS | LISTS


@pytest.mark.parametrize("words", [("runs",), ("hold",), ("unhold",), ("share", "50"), ("history",)])
def test_what_asks_and_orders(broker: KafkaConnection, serving: Announcement, words: tuple[str, ...]) -> None:
    assert imported_by(*words) == CLIENTS | SETTINGS


@pytest.mark.parametrize("words", ["promote", "wait", "plan"])
def test_what_looks_into_the_work_folder(serving: Announcement, words: str) -> None:
    run = [] if words == "plan" else [serving.run]
    assert imported_by(words, *run).isdisjoint(HEAVY | SPARK)


def test_help_imports_no_command() -> None:
    assert imported_by("--help") == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_the_list_is_that_of_the_command(name: str) -> None:
    assert imported(name).help == COMMANDS[name].help
