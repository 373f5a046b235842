"""A product of its own on the session's servers: its settings, runs of it in this process, and what it published."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import yaml
from confluent_kafka import Consumer, TopicPartition

from conf.connections import KafkaConnection
from conf.load import load_settings
from conf.settings import Settings
from jobs.cli import app
from jobs.prod_discovery import discover
from jobs.run.enter import enter
from jobs.run.manifest import Manifest, load_manifest
from jobs.runtime.exit import report
from jobs.storage.store import Storage
from jobs.tune_embeddings import tune_embeddings
from publish.connect.clients import admin_client
from publish.connect.topics import ensure_topics
from publish.load.loader import Loader
from publish.read.reader import Reader
from publish.runs.pointer import Pointer, PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run import RegisteredRun
from publish.wire.keys import ProductKeys

SMALL: dict[str, Any] = {
    "train": {"factors": 8, "iterations": 3, "threads": 2},
    "lists": {"n": 10, "fallback_size": 30},
    "gates": {
        "interactions": {"min_rows": 1, "min_users": 1, "min_sources": 1},
        "lists": {
            "min_length_share": 0,
            "min_coverage_of_users": 0,
            "min_coverage_of_catalogue": 0,
            "min_quality_ratio": 0,
        },
    },
    "rollout": {"max_manual_share": 1.0},
    "publish": {"partitions": 4, "load_deadline_seconds": 300, "stall_seconds": 30, "delivery_timeout_seconds": 30},
    "spark": {"shuffle_partitions": 2},
}
"""What every product of these tests has in common: small factors, gates that only look, impatient publishing."""


@dataclass(frozen=True)
class Servers:
    """Addresses of the session's servers."""

    kafka: str
    redis: str
    mlflow: str

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to find them."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "REDIS_URL": self.redis, "MLFLOW_TRACKING_URI": self.mlflow}


@dataclass(frozen=True)
class Ended:
    """How an entry ended, and what it said."""

    code: int
    log: str
    out: str


@dataclass(frozen=True)
class Published:
    """What the outside world can see of a product."""

    runs: tuple[RegisteredRun, ...]
    pointer: Pointer
    messages: int


@dataclass(frozen=True)
class Product:
    """A product in a work folder of its own."""

    servers: Servers
    home: Path
    config: Path
    overlays: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that differ from the servers' addresses."""

    @classmethod
    def create(cls, servers: Servers, home: Path, settings: Mapping[str, Any]) -> "Product":
        """A product with these settings over SMALL."""
        home.mkdir(parents=True, exist_ok=True)
        config, overlay = home / "product.yml", home / "small.yml"
        config.write_text(yaml.safe_dump(dict(settings)))
        overlay.write_text(yaml.safe_dump(SMALL))
        return cls(servers, home, overlay, (config,))  # the product's own settings win

    @property
    def settings(self) -> Settings:
        return load_settings(self.config, self.overlays)

    @property
    def name(self) -> str:
        return self.settings.product

    @property
    def environment(self) -> dict[str, str]:
        return {**self.servers.variables, "DISCOVERY_HOME": str(self.home), **self.variables}

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.servers.redis)

    @property
    def reader(self) -> Reader:
        return Reader(self.client, self.name)

    def flags(self, *more: str) -> list[str]:
        """The flags of an entry that name this product."""
        overlays = [flag for overlay in self.overlays for flag in ("--overlay", str(overlay))]
        return ["--config", str(self.config), *overlays, *more]

    def change(self, changes: Mapping[str, Any]) -> "Product":
        """The same product with some settings changed."""
        overlay = self.home / f"change-{len(self.overlays)}.yml"
        overlay.write_text(yaml.safe_dump(dict(changes)))
        return Product(self.servers, self.home, self.config, (*self.overlays, overlay), self.variables)

    def run(self, *flags: str, work: Any = discover) -> Ended:
        """An entry in this process, as spark-submit would start it."""
        return self._ended(lambda: enter(work, self.flags(*flags)))

    def tune(self, *flags: str) -> Ended:
        """The search for hyper-parameters in this process."""
        return self._ended(lambda: report(lambda: tune_embeddings(self.flags(*flags)), again="start it again"))

    def _ended(self, entry: Callable[[], int]) -> Ended:
        log, out = io.StringIO(), io.StringIO()
        with _environment(self.environment), _own_process(), redirect_stderr(log), redirect_stdout(out):
            code = entry()
        return Ended(code, log.getvalue(), out.getvalue())

    def discovery(self, *words: str) -> Ended:
        """An operator's command in this process, as the console script runs it."""
        log, out, argv = io.StringIO(), io.StringIO(), sys.argv
        with _environment(self.environment), _own_process(), redirect_stderr(log), redirect_stdout(out):
            sys.argv = ["discovery", *words, *self.flags()]
            try:
                app.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                sys.argv = argv
        return Ended(code, log.getvalue(), out.getvalue())

    def published(self) -> Published:
        """Announced runs, pointer, and messages in the topic."""
        client = self.client
        runs, pointer = RunRegistry(client, self.name).list_runs(), PointerStore(client, self.name).read()
        return Published(
            runs, pointer, messages_in(KafkaConnection(servers=self.servers.kafka), ProductKeys(self.name).topic)
        )

    @property
    def run_ids(self) -> list[str]:
        """Folders of runs, the oldest first."""
        return sorted(path.name for path in (self.home / "runs" / self.name).glob("*"))

    def folder(self, run_id: str) -> Storage:
        return Storage(str(self.home / "runs" / self.name / run_id))

    def manifest(self, run_id: str) -> Manifest:
        found = load_manifest(self.folder(run_id))
        assert found is not None
        return found

    @contextmanager
    def loading(self) -> Iterator[None]:
        """The product's loader on a thread."""
        kafka = KafkaConnection(servers=self.servers.kafka)
        ensure_topics(kafka, ProductKeys(self.name), self.settings.publish, timeout=180)
        loader, stop = Loader(kafka, self.client, self.name), threading.Event()
        thread = threading.Thread(target=loader.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(180)
            assert not thread.is_alive()


def messages_in(kafka: KafkaConnection, topic: str) -> int:
    """Messages in a topic; 0 where there is no such topic."""
    known = admin_client(kafka).list_topics(timeout=180).topics
    if topic not in known:
        return 0
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "count", "enable.auto.commit": False})
    try:
        marks = [
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=180)
            for number in known[topic].partitions
        ]
    finally:
        consumer.close()
    return sum(high - low for low, high in marks)


Make = Callable[..., Product]
"""Makes a product of a test's own: see the fixture `make`."""


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _own_process() -> Iterator[None]:
    """Puts back what an entry changes in its process: the log's handlers and the signal handler."""
    root = logging.getLogger()
    handlers, level, stop = list(root.handlers), root.level, signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        signal.signal(signal.SIGTERM, stop)
