"""What is measured on: a real Redis with lists, and servers as processes of their own, each on the service's core."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pyarrow as pa
import redis

from benchmarks.publish.world import ListShape, announcement_of, make_snapshot
from benchmarks.serve.plain import PREFIX
from conf.errors import DiscoveryError
from conf.settings import PublishSettings
from conf.share import EVERYBODY
from deploy.servers.ports import free_ports
from deploy.servers.redis_server import RedisServer
from publish.read.reader import Reader
from publish.runs.pointer import Pointer
from publish.send.snapshot import measure_partition
from publish.serve.answers import answer_json
from publish.wire.encoding import encode_rows

PRODUCT = "serve_benchmark"
_SHAPE = ListShape("50 ids", 50, snowflake=False)
_USERS = 20_000
_YAML = f"""product: {PRODUCT}
datasets: {{events: {{clicks: {{path: clicks}}}}}}
interactions: {{event_weights: {{click: 1.0}}}}
publish: {{redis_policy: noeviction}}
serve: {{redis_timeout_seconds: 30}}
"""
_START_SECONDS = 180.0


class BenchmarkFailed(DiscoveryError):
    """A server of the benchmark did not do its part."""


@dataclass(frozen=True)
class Cores:
    """Who runs where: the measured server has a core of its own, where there are two."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_machine(cls) -> "Cores":
        """Returns the first core for the server and the rest for all else."""
        cores = os.sched_getaffinity(0)
        first = frozenset({min(cores)})
        return cls(first, frozenset(cores - first) or first)


@dataclass(frozen=True)
class Stage:
    """Redis with a run that serves, and where servers start."""

    folder: Path
    redis_url: str
    users: list[int]
    cores: Cores

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process of the product."""
        return {**os.environ, "REDIS_URL": self.redis_url, "DISCOVERY_HOME": str(self.folder), "PYTHONUNBUFFERED": "1"}

    @contextmanager
    def service(
        self, port: int, *flags: str, environment: dict[str, str] | None = None, program: str = "jobs.cli"
    ) -> Iterator["Server"]:
        """Starts `discovery serve` and stops it afterwards."""
        with self.started(port, *flags, environment=environment, program=program) as server:
            server.wait_until_ready()
            yield server

    @contextmanager
    def started(
        self, port: int, *flags: str, environment: dict[str, str] | None = None, program: str = "jobs.cli"
    ) -> Iterator["Server"]:
        """Starts `discovery serve` without waiting for it, and stops it afterwards if it still runs."""
        argv = [sys.executable, "-m", program, "serve", "--config", str(self.config), "--port", str(port), *flags]
        with self._process(argv, port, environment or self.environment) as server:
            yield server

    @contextmanager
    def plain(self, *, pipelined: bool) -> Iterator["Server"]:
        """Starts the rival and stops it afterwards."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            argv = [sys.executable, "-m", "benchmarks.serve.plain", str(listening.fileno()), self.redis_url]
            argv += ["--pipelined"] if pipelined else []
            with self._process(argv, port, self.environment, pass_fds=(listening.fileno(),)) as server:
                server.wait_until_ready(f"/{self.users[0]}")
                yield server

    @property
    def config(self) -> Path:
        """The product's YAML."""
        return self.folder / "serve.yml"

    @contextmanager
    def _process(
        self, argv: Sequence[str], port: int, environment: dict[str, str], pass_fds: Sequence[int] = ()
    ) -> Iterator["Server"]:
        log = self.folder / f"server-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, env=environment, stdout=output, stderr=output, pass_fds=pass_fds, start_new_session=True
            )
        server = Server(process, port, log)
        os.sched_setaffinity(process.pid, self.cores.server)
        try:
            yield server
        finally:
            server.kill()


@dataclass(frozen=True)
class Server:
    """A server process."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def wait_until_ready(self, path: str = "/readyz") -> None:
        """Returns when the server answers 200; raises BenchmarkFailed with its log."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(f"the server did not start: {self.log.read_text()}")
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5):
                return
            time.sleep(0.05)

    def wait_until_said(self, text: str) -> None:
        """Returns when the server's log holds the text; raises BenchmarkFailed with the log."""
        deadline = time.monotonic() + _START_SECONDS
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkFailed(f"the server did not start: {self.log.read_text()}")
            time.sleep(0.05)

    def terminate(self) -> None:
        """Lets the server end in order, without waiting for it."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the server, and its workers, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def cpu_seconds(self) -> float:
        """Returns the processor time that the process has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Starts Redis with lists of 50 sources and scores for 20,000 users, and the answers as bytes for the rival."""
    cores = Cores.of_machine()
    (folder / "serve.yml").write_text(_YAML)
    with RedisServer(folder / "redis") as server, redis.Redis.from_url(server.url) as client:
        os.sched_setaffinity(server.pid, cores.others)
        users = _fill(client)
        reader = Reader(client, PRODUCT)
        pipeline = client.pipeline(transaction=False)
        for user in users:
            pipeline.set(f"{PREFIX}{user}", answer_json(reader.lookup(user)))
        pipeline.execute()
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores.others)
        try:
            yield Stage(folder, server.url, users, cores)
        finally:
            os.sched_setaffinity(0, before)


def free_port() -> int:
    """Returns a free port on loopback, below those of outgoing connections."""
    return free_ports(1)[0]


def _fill(client: "redis.Redis") -> list[int]:
    settings = PublishSettings()
    snapshot = make_snapshot(_SHAPE, _USERS, settings)
    layout = snapshot.layout(PRODUCT)
    batches = [_with_scores(batch) for batch in snapshot.batches]
    slices = [measure_partition([batch], place, layout, "int64") for place, batch in enumerate(batches)]
    run = announcement_of(snapshot, layout, slices, "benchmark", 1)
    users: list[int] = []
    pipeline = client.pipeline(transaction=False)
    pipeline.hset(layout.runs, run.run, run.canonical)
    for batch in batches:
        ids = cast(list[int], batch.column("user_id").to_pylist())
        for user, payload in zip(ids, encode_rows(batch, "int64"), strict=True):
            pipeline.hset(layout.bucket(run.run, *layout.place_of(user)), str(user), payload)
        users += ids
    pointer = Pointer(
        rev=1,
        treatment=run.run,
        control=None,
        salt="benchmark",
        share_bp=EVERYBODY,
        cap_bp=EVERYBODY,
        since=datetime.now(UTC),
    )
    pipeline.set(layout.pointer, pointer.model_dump_json())
    pipeline.execute()
    np.random.default_rng(1).shuffle(users)
    return users


def _with_scores(batch: pa.RecordBatch) -> pa.RecordBatch:
    scores = np.random.default_rng(2).random((batch.num_rows, _SHAPE.size)).astype(np.float32)
    edges = np.arange(batch.num_rows + 1, dtype=np.int32) * _SHAPE.size
    best_first: Any = pa.array(-np.sort(-scores, axis=1).reshape(-1))
    column = pa.ListArray.from_arrays(cast(Any, pa.array(edges)), best_first)
    return batch.set_column(batch.schema.get_field_index("scores"), batch.schema.field("scores"), column)
