"""The processes of a hunt: broker, Redis, loaders. Each can be killed, frozen and started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from benchmarks.crash.journal import Journal
from benchmarks.crash.push import PRODUCT, SETTINGS
from conf.connections import KafkaConnection
from deploy.chain import REPO
from deploy.servers.errors import FolderInUse
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.processes import LastingProcess, OwnerGuard, spawn
from deploy.servers.redis_server import RedisServer
from deploy.servers.server import EmbeddedServer, Startable
from publish.connect.clients import admin_client
from publish.connect.topics import ensure_topics
from publish.wire.keys import ProductKeys

_START_SECONDS = 120
_OVERLAY = """\
product: {product}
publish:
  partitions: {partitions}
  load_deadline_seconds: {load_deadline_seconds}
  stall_seconds: {stall_seconds}
  delivery_timeout_seconds: {delivery_timeout_seconds}
"""
_SMALL_LOG = {"segment.bytes": str(8 * 2**20), "retention.bytes": str(64 * 2**20)}  # hours of pushes on one disk
_LOST_SECONDS = 1.0


class Service:
    """A process that a supervisor restarts when it ends by itself, as systemd would."""

    def __init__(self, name: str, argv: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.lock = threading.RLock()
        self._argv, self._environment = argv, environment
        self._process: LastingProcess | None = None
        self._guard: OwnerGuard | None = None
        self._log_before = 0

    def start(self) -> None:
        """Starts it unless it runs."""
        if self.ended is None and self._process is not None:
            return
        self._forget()
        self._log_before = self.log.stat().st_size if self.log.exists() else 0
        self._process = spawn(self._argv, cwd=REPO, env=self._environment, log=self.log)
        self._guard = OwnerGuard(self._process.pid)

    @property
    def log_text(self) -> str:
        """Its log since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._log_before)
            return log.read().decode(errors="replace")

    @property
    def ended(self) -> int | None:
        """The exit code after it ended; None while it runs or was never started."""
        return None if self._process is None else self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it and its children."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def end(self, number: signal.Signals, *, seconds: float = 20) -> None:
        """Sends a signal, waits until it has ended (killing it after `seconds`), and drops the process."""
        self.send(number)
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
        if self._guard is not None:
            self._guard.release()
        self._process = self._guard = None


class Stack(Startable):
    """Broker, Redis and loaders in `home`; as a context manager it stops them all, whatever state they are in."""

    def __init__(self, home: Path, journal: Journal, *, loaders: int) -> None:
        self.redis = RedisServer(home / "redis", maxmemory="768mb", start_seconds=_START_SECONDS)
        self.broker = KafkaBroker(home / "kafka", start_seconds=_START_SECONDS)
        self.locks = {"redis": threading.RLock(), "broker": threading.RLock()}
        self.loaders: list[Service] = []
        self.environment: dict[str, str] = {}
        self._home, self._journal, self._count = home, journal, loaders
        self._sizes: list[tuple[float, int, int]] = []
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="aof", daemon=True)

    @property
    def kafka(self) -> KafkaConnection:
        """Connection settings of the broker."""
        return KafkaConnection(servers=self.broker.bootstrap)

    def start(self) -> None:
        """Starts everything and waits until the servers answer and topics exist."""
        for server in (self.redis, self.broker):
            server.launch()
        for server in (self.redis, self.broker):
            server.wait_until_ready()
        overlay = self._home / "overlay.yml"
        overlay.write_text(_OVERLAY.format(product=PRODUCT, **SETTINGS.model_dump()))
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            **self.redis.environment,
            **self.broker.environment,
            "DISCOVERY_HOME": str(self._home / "work"),
            "PYTHONPYCACHEPREFIX": str(self._home / "bytecode"),  # starts are many; nothing is left in the sources
        }
        ensure_topics(self.kafka, ProductKeys(PRODUCT), SETTINGS)
        self._keep_little()
        argv = [sys.executable, "-m", "jobs.cli", "load", "--config", str(REPO / "conf/prod_discovery.yml")]
        for place in range(self._count):
            log = self._home / f"loader{place}.log"
            loader = Service(f"loader{place}", [*argv, "--overlay", str(overlay)], self.environment, log)
            loader.start()
            self.loaders.append(loader)
        self._sampler.start()

    def supervise(self) -> None:
        """Restarts loaders that ended by themselves; ending while loading is a violation."""
        for loader in self.loaders:
            if loader.ended is None or not loader.lock.acquire(blocking=False):
                continue
            try:
                code = loader.ended
                if code is None:
                    continue
                log_text = loader.log_text
                if (
                    f"loading {ProductKeys(PRODUCT).topic}" in log_text
                ):  # earlier it may end: a server was away while it started
                    last = log_text[-1_500:]
                    self._journal.violation(
                        "loader ended", f"{loader.name} ended by itself with exit code {code}: {last}"
                    )
                self._journal.note(f"{loader.name} had ended with exit code {code}; started again")
                loader.start()
            finally:
                loader.lock.release()

    def server(self, name: str) -> EmbeddedServer:
        """Returns the server named `redis` or `broker`."""
        return self.redis if name == "redis" else self.broker

    def start_again(self, name: str) -> None:
        """Starts a killed or stopped server; a child of the old Redis may hold its folder for a moment."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.server(name).start()
                return
            except FolderInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def lose_power(self, draw: float) -> int:
        """Kills Redis and cuts its file inside the last second. Returns the bytes lost.

        `draw` in [0, 1) chooses the place. `appendfsync everysec` allows this loss when the machine fails; killing only
        the process loses less.
        """
        file = self._home / "redis" / "appendonly.aof"
        killed = time.monotonic()
        self.redis.kill()
        now = file.stat()
        kept = [size for at, node, size in self._sizes if node == now.st_ino and at <= killed - _LOST_SECONDS]
        if not kept or kept[-1] >= now.st_size:
            return 0
        left = kept[-1] + int(draw * (now.st_size - kept[-1]))
        os.truncate(file, left)
        return now.st_size - left

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stops a server's process during the block (SIGSTOP, SIGCONT)."""
        pid = self.server(name).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stops everything; does no harm when it is stopped already."""
        self._stop.set()
        for loader in self.loaders:
            loader.send(signal.SIGTERM)
        for loader in self.loaders:
            loader.end(signal.SIGTERM, seconds=10)
        for server in (self.broker, self.redis):
            server.stop()

    def _keep_little(self) -> None:
        topic = ConfigResource(ResourceType.TOPIC, ProductKeys(PRODUCT).topic)
        for name, value in _SMALL_LOG.items():
            topic.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
        admin = admin_client(self.kafka)
        admin.incremental_alter_configs([topic])[topic].result(30)

    def _sample(self) -> None:
        """Records the size of Redis' file over time, for `lose_power`."""
        file = self._home / "redis" / "appendonly.aof"
        while not self._stop.wait(0.05):
            with suppress(FileNotFoundError):
                now = file.stat()
                self._sizes = [*self._sizes[-200:], (time.monotonic(), now.st_ino, now.st_size)]
