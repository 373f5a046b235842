"""One product from the operator's side: its settings, connections and the few steps that the commands share."""

import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from conf.contract import ID_RULE, UserId, is_id, parse_int64
from conf.environment import Environment
from conf.errors import ConfigError
from conf.load import load_settings
from conf.settings import Settings
from jobs.run.after_serving import errors_as_warnings, note_in_manifest, note_serving
from jobs.run.progress import ProgressLog
from jobs.runtime.log import log
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from publish.connect.clients import check_broker
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import StoreClient, redis_client
from publish.connect.rights import Role, check_rights
from publish.connect.topics import ensure_topics, warn_of_retention
from publish.errors import BrokerUnreachable
from publish.load.loader import Loader
from publish.load.loader_metrics import LoaderMetrics, serve_metrics
from publish.operate.control import Control, StatusReport
from publish.operate.dead_letter_reader import count_letters
from publish.operate.wait import Waited, wait
from publish.read.reader import Reader
from publish.runs.pointer import PointerStore
from publish.store.capacity import DeclaredLimits
from publish.wire.keys import ProductKeys


@dataclass(frozen=True, repr=False)
class ProductContext:
    """Checked connections of one product, for a person."""

    settings: Settings
    environment: Environment
    client: StoreClient

    @property
    def product(self) -> str:
        """The product's name."""
        return self.settings.product

    @property
    def declared(self) -> DeclaredLimits:
        """The limits of a Redis that does not publish them, as the settings have them."""
        return DeclaredLimits.of(self.settings.publish)

    @cached_property
    def control(self) -> Control:
        """The operator's questions and orders; keeps pointers in Kafka too where its address is known."""
        kafka = self.environment.kafka
        pointer_log = None if kafka is None else KafkaPointerLog(kafka)
        return Control.connect(self.client, self.product, log=pointer_log, declared=self.declared)

    @cached_property
    def reader(self) -> Reader:
        """Look-ups as an online service does them."""
        return Reader(self.client, self.product)

    def user_id(self, text: str) -> UserId:
        """Returns the user that a person typed; raises ConfigError when no user of this product can be called so."""
        if self.settings.ids == "string":
            if is_id(text):
                return text
            raise ConfigError(f"user {text!r:.300}: {self.product} has string user ids, of {ID_RULE}")
        number = parse_int64(text)
        if number is None:
            raise ConfigError(
                f"user {text!r:.300}: {self.product} has int64 user ids; give a whole number from −2⁶³ to 2⁶³ − 1, in "
                "digits without spaces, +, _ or leading zeros"
            )
        return number

    def wait(self, run: str, deadline: float | None) -> Waited:
        """Waits until the run serves or certainly will not, telling its progress."""
        progress = ProgressLog()
        return wait(
            run, self.control.lifecycle, PointerStore(self.client, self.product), deadline=deadline, progress=progress
        )

    def note_serving(self, run: str) -> None:
        """Notes in the registry and the work folder that the run serves; what serves does not depend on it."""
        home = Storage(self.environment.home)
        note_in_manifest(self.settings, home, self.control, run)
        with errors_as_warnings(run):  # a registry whose address is not known is a warning, too
            registry = ModelRegistry(self.environment.need_mlflow())
            note_serving(self.settings, home, self.control, registry, run)

    def inspect_topics(self, report: StatusReport) -> int:
        """Warns of topics with another retention than the settings say; returns the number of dead letters.

        Where Kafka is not known or away, it is that of all that loaders ever wrote.
        """
        kafka, keys = self.environment.kafka, ProductKeys(self.product)
        if kafka is not None:
            try:
                letters = count_letters(kafka, keys.dead_letter_topic)
                warn_of_retention(kafka, keys, self.settings.publish)
                return letters
            except BrokerUnreachable as fault:
                log.warning("warning   %s", fault)
        return report.dead_letters

    def load(self, stop: threading.Event, metrics_port: int | None) -> None:
        """Runs the loader until `stop`; raises what keeps it from starting."""
        kafka = self.environment.need_kafka()
        check_rights(self.client, Role.LOADER, ProductKeys(self.product))
        check_broker(kafka)
        ensure_topics(kafka, ProductKeys(self.product), self.settings.publish)
        metrics = LoaderMetrics(self.product)
        if metrics_port is not None:
            serve_metrics(metrics, metrics_port)
        loader = Loader(kafka, self.client, self.product, declared=self.declared, metrics=metrics)
        # Thousands of messages live at a time, none in a cycle: looking for cycles in them cost a fifth of the load.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        loader.run(stop)


def open_context(config: Path, overlays: Sequence[Path]) -> ProductContext:
    """Returns the context of the product in `config`; raises ConfigError and StoreUnreachable."""
    settings = load_settings(config, overlays)
    environment = Environment.read()
    return ProductContext(settings, environment, redis_client(environment.need_redis()))
