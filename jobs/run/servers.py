"""The servers that a run needs, checked before hours of work: Kafka, Redis, MLflow, and the work folder."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from conf.connections import KafkaConnection, RedisConnection
from conf.environment import Environment
from conf.errors import ConfigError, Refused
from conf.settings import Settings
from jobs.run.manifest import Request
from jobs.runtime.log import log_step
from jobs.storage.errors import StorageError
from jobs.storage.store import Storage
from models.registry import ModelRegistry
from publish.connect.clients import check_broker, group_size
from publish.connect.redis_clients import StoreClient, redis_client
from publish.connect.rights import Role, check_rights
from publish.connect.topics import check_topics
from publish.runs.lease import Lease
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.runs.run_log import refuse_if_lost
from publish.store.capacity import DeclaredLimits, check_store
from publish.wire.keys import ProductKeys


class OlderThanServing(Refused):
    """The run's day is before that of the run that serves."""


@dataclass(frozen=True, repr=False)
class RunServers:
    """Checked connections of one product."""

    product: str
    kafka: KafkaConnection
    """Connection settings of the broker."""
    client: StoreClient
    registry: ModelRegistry
    runs: RunRegistry
    pointers: PointerStore

    def lease(self, run_id: str) -> Lease:
        """Returns the product's lease. Raises LeaseHeld when another run holds it."""
        return Lease.acquire(self.client, ProductKeys(self.product), run_id, on_wait=lambda text: log_step("run", text))

    def serving_run(self) -> str | None:
        """Returns the run that serves the treatment arm; None if none does."""
        return self.pointers.read().treatment

    def refuse_older(self, request: Request) -> None:
        """Raises OlderThanServing if the run's day is before that of the serving run, unless `--publish-old` is set."""
        serving = self.serving_run()
        if serving is None or request.publish_old:
            return
        served = self.runs.find_announcement(serving)
        if served is not None and request.as_of < served.as_of:  # if it cannot be read, a person promotes
            raise OlderThanServing(
                f"run {request.run_id} is as of {request.as_of}, and {serving} (as of {served.as_of}) serves already; "
                "the lists are computed and judged, and stay in the run folder; to publish them all the same, start a "
                "new run with --publish-old"
            )


def open_servers(settings: Settings, environment: Environment, home: Storage) -> RunServers:
    """Checks all connections and returns them. Raises the first error, with server, address and advice.

    MLflow is checked beside the others, because its libraries take seconds to import.
    """
    kafka, store = environment.need_kafka(), environment.need_redis()
    _check_writable(home)
    registry = ModelRegistry(environment.need_mlflow())
    with ThreadPoolExecutor(1, thread_name_prefix="mlflow") as pool:
        mlflow = pool.submit(registry.check)
        client, runs = _check_store_and_broker(settings, store, kafka)
        mlflow.result()
    _check_registrable(environment)
    if group_size(kafka, ProductKeys(settings.product).loader_group) == 0:
        log_step("run", f"no loader of {settings.product} runs yet; start one, or the run cannot serve: discovery load")
    return RunServers(
        product=settings.product,
        kafka=kafka,
        client=client,
        registry=registry,
        runs=runs,
        pointers=PointerStore(client, settings.product),
    )


def _check_store_and_broker(
    settings: Settings, store: RedisConnection, kafka: KafkaConnection
) -> tuple[StoreClient, RunRegistry]:
    client, keys = redis_client(store), ProductKeys(settings.product)
    check_store(client, DeclaredLimits.of(settings.publish))
    check_rights(client, Role.PUBLISHER, keys)
    check_broker(kafka)
    check_topics(kafka, keys, settings.publish, settings.exposures)
    runs = RunRegistry(client, settings.product)
    refuse_if_lost(runs, kafka)
    return client, runs


def _check_registrable(environment: Environment) -> None:
    if environment.is_local and environment.need_mlflow().startswith(("http://", "https://")):
        raise ConfigError(
            "MLFLOW_TRACKING_URI names a server, and a server registers only factors that it can reach itself: set "
            "DISCOVERY_HOME to a URI (an object store, HDFS), or leave MLFLOW_TRACKING_URI unset"
        )


def _check_writable(home: Storage) -> None:
    probe = f".probe-{uuid.uuid4().hex}"
    try:
        home.write_bytes(probe, b"x" * 4096)
        home.delete(probe)
    except OSError as error:
        raise StorageError(
            f"the work folder {home.uri} cannot be written ({error}); set DISCOVERY_HOME to a place that can"
        ) from None
