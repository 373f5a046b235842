"""The weekly job on a standalone cluster, in trouble or not, and what is left of it: lists, events, halts."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from deploy.chain import REPO
from deploy.servers.processes import OwnerGuard
from deploy.servers.spark_cluster import SparkCluster
from jobs.reproduce.table_digest import compare_tables
from tests.e2e.deaths import RUN
from tests.e2e.product import Product
from tests.e2e.submit import variables_of

SETTINGS = {
    "spark.executor.cores": "2",
    "spark.executor.memory": "600m",
    "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.executorEnv.NUMBA_CACHE_DIR": str(Path("~/.cache/discovery/numba").expanduser()),
    "spark.locality.wait": "0s",
    "spark.python.daemon.module": "pyspark.daemon",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}
DYNAMIC = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.timeout": "1s",
    "spark.dynamicAllocation.executorIdleTimeout": "1s",
    "spark.dynamicAllocation.cachedExecutorIdleTimeout": "1s",
    "spark.dynamicAllocation.minExecutors": "0",
}
"""Executors that do nothing for a second end, with the shuffle files and cached rows that they hold."""
SPECULATION = {"spark.speculation": "true", "spark.speculation.task.duration.threshold": "1s"}
"""Copies also of stages whose few tasks fit into one executor, where none is finished before the slow one."""
LATE = {"spark.python.task.killTimeout": "600s"}
"""Spark leaves the Python of the slow copy alive when the other one has won."""


@dataclass(frozen=True)
class Ended:
    """A job that ended."""

    code: int
    log: str
    events: Sequence[Mapping[str, Any]]
    halts: Path

    def of_kind(self, event: str) -> list[Mapping[str, Any]]:
        """The events of one kind."""
        return [one for one in self.events if one["Event"] == f"SparkListener{event}"]

    @property
    def copied(self) -> set[int]:
        """Stages of which Spark launched a speculative copy of a task."""
        return {one["Stage ID"] for one in self.of_kind("TaskStart") if one["Task Info"]["Speculative"]}

    def happened(self, what: str) -> set[str]:
        """Places where this happened."""
        return {file.stem for file in self.halts.glob(f"*.{what}")}


def run_on(cluster: SparkCluster, product: Product, settings: Mapping[str, str], troubles: Mapping[str, str]) -> Ended:
    """Runs the job, in client mode, until it ends."""
    number = len([*product.home.glob("attempt-*")])
    folder = product.home / f"attempt-{number}"
    halts, events, log = folder / "halts", folder / "events", folder / "job.log"
    for made in (halts, events):
        made.mkdir(parents=True)
    argv = ["spark-submit", "--master", cluster.uri]
    for name, value in {**SETTINGS, "spark.eventLog.dir": events.as_uri(), **settings}.items():
        argv += ["--conf", f"{name}={value}"]
    argv += ["tests/cluster/troubled_job.py", *product.flags("--as-of", "2026-11-16", "--first", "--run-id", RUN)]
    variables = {**variables_of(product), "HALTS": str(halts), "TROUBLES": json.dumps(troubles)}
    with log.open("wb") as file:
        job = subprocess.Popen(argv, cwd=REPO, env=variables, stdout=file, stderr=file, start_new_session=True)
        guard = OwnerGuard(job.pid)
        try:
            code = job.wait()
        finally:
            guard.release()
            job.kill()
    return Ended(code, log.read_text(), [*_events_in(events)], halts)


def _events_in(folder: Path) -> Iterator[dict[str, Any]]:
    for file in folder.iterdir():
        for line in file.read_text().splitlines():
            yield json.loads(line)


def differs_from(local: Product, product: Product, table: str, key: str = "user_id") -> str | None:
    """The first difference between two runs' tables, every bit of every row by its key; None: there is none."""
    then, now = (_sorted(one.folder(RUN).table(table), key) for one in (local, product))
    found = compare_tables(table, then, now, [key])
    assert found.rows > 0
    return None if found.same else str(found.differing)


def _sorted(table: ds.Dataset, key: str) -> ds.Dataset:
    return ds.dataset(table.to_table().sort_by(key).combine_chunks())


def served_wrongly(product: Product) -> list[Any]:
    """Users whose list in Redis is not, source by source and score by score, that of the run's table."""
    rows = product.folder(RUN).table("lists").to_table().to_pylist()
    answers = [product.reader.lookup(row["user_id"]) for row in rows]
    wanted = [(RUN, "list", row["source_ids"], row["scores"]) for row in rows]
    found = [(one.run, one.kind, list(one.source_ids), list(one.scores)) for one in answers]
    return [pair for pair in zip(wanted, found, strict=True) if pair[0] != pair[1]]


def stored_lists(product: Product) -> int:
    """Lists of the run in Redis."""
    client, name = product.client, product.name.encode()
    return sum(client.hlen(key) for key in client.scan_iter(f"*:{RUN}:b:*") if name in key)
