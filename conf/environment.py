"""Reads addresses, secrets and the work folder from the environment; parameters are never read from there."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from conf.alerts import check_webhook
from conf.connections import KafkaConnection, RedisConnection
from conf.errors import ConfigError
from conf.location import Location
from conf.simulated_clock import VARIABLE as SIMULATED_CLOCK
from conf.simulated_clock import SimulatedClock, simulated_clock

_Connection = TypeVar("_Connection", KafkaConnection, RedisConnection)

_TOKEN = re.compile(r"(?=.{16,256}$)[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""RFC 6750's b64token."""


class Environment(BaseModel):
    """Addresses and folders of this installation; addresses may contain passwords and are never printed."""

    model_config = ConfigDict(frozen=True)

    home: str
    """DISCOVERY_HOME: folder or URI with runs, partials and the default MLflow store; default ./work."""
    kafka: KafkaConnection | None
    """KAFKA_…; None if no address is set."""
    redis: RedisConnection | None
    """REDIS_…; None if no address is set."""
    mlflow: SecretStr | None
    """MLFLOW_TRACKING_URI; default: SQLite in the work folder, if that is local."""
    webhook: SecretStr | None = None
    """ALERTS_WEBHOOK: who is told when a run stops, unless the product's YAML says (`conf.alerts`)."""
    serve_tokens: tuple[SecretStr, ...] = ()
    """DISCOVERY_SERVE_TOKEN: who has one of them may look users up through `discovery serve`; none: everybody may."""
    clock: SimulatedClock | None = None
    """DISCOVERY_SIMULATED_CLOCK: in a simulation, who says what time it is (`conf/simulated_clock.py`)."""

    @classmethod
    def read(cls) -> "Environment":
        """Returns the environment of this process; creates nothing."""
        home, kafka, redis = _home(), _kafka(), _redis()
        return cls(
            home=str(home),
            kafka=kafka,
            redis=redis,
            mlflow=_secret("MLFLOW_TRACKING_URI") or _sqlite(home),
            webhook=_webhook(),
            serve_tokens=_serve_tokens(),
            clock=_clock(home, kafka, redis),
        )

    @property
    def is_local(self) -> bool:
        """Whether the work folder is on this machine."""
        return Location.parse(self.home).is_local

    def need_mlflow(self) -> str:
        """Returns the URI of the tracking store; raises ConfigError if there is none."""
        if self.mlflow is None:
            raise _unset("MLFLOW_TRACKING_URI", "the MLflow server, e.g. http://127.0.0.1:5000")
        return self.mlflow.get_secret_value()

    def need_kafka(self) -> KafkaConnection:
        """Returns the connection to Kafka; raises ConfigError if its address is not set."""
        if self.kafka is None:
            raise _unset("KAFKA_BOOTSTRAP_SERVERS", "the Kafka broker, e.g. 127.0.0.1:9092")
        return self.kafka

    def need_redis(self) -> RedisConnection:
        """Returns the connection to Redis; raises ConfigError if its address is not set."""
        if self.redis is None:
            raise _unset("REDIS_URL", "the online store, e.g. redis://127.0.0.1:6379/0")
        return self.redis


def _home() -> Location:
    try:
        return Location.parse(os.environ.get("DISCOVERY_HOME", "") or "work")
    except ConfigError as error:
        raise ConfigError(f"DISCOVERY_HOME: {error}") from None


def _sqlite(home: Location) -> SecretStr | None:
    """Returns the SQLite URI in a local work folder, with % and ? escaped; None if the folder is not local."""
    if not home.is_local:
        return None
    # For sqlite:///… MLflow would create a folder by the still encoded name; for sqlite+pysqlite:///… it does not.
    scheme = "sqlite+pysqlite" if {"%", "?"} & {*home.path} else "sqlite"
    path = home.path.replace("%", "%25").replace("?", "%3F")
    return SecretStr(f"{scheme}:///{path}/mlflow.db")


def _secret(name: str) -> SecretStr | None:
    value = os.environ.get(name, "")
    return SecretStr(value) if value else None


def _webhook() -> SecretStr | None:
    given = _secret("ALERTS_WEBHOOK")
    try:
        return None if given is None else check_webhook(given)
    except ValueError as error:
        raise ConfigError(f"ALERTS_WEBHOOK: {error}") from None


def _serve_tokens() -> tuple[SecretStr, ...]:
    """Returns the tokens between the commas; raises ConfigError, without any part of them, for one that cannot be."""
    given = os.environ.get("DISCOVERY_SERVE_TOKEN", "")
    tokens = given.split(",") if given else []
    if any(_TOKEN.fullmatch(token) is None for token in tokens):
        raise ConfigError(
            "DISCOVERY_SERVE_TOKEN: a token is 16 … 256 of A-Z a-z 0-9 - . _ ~ + / and = at its end, several with "
            "commas; `openssl rand -base64 32` makes one"
        )
    return tuple(map(SecretStr, tokens))


def _clock(home: Location, kafka: KafkaConnection | None, redis: RedisConnection | None) -> SimulatedClock | None:
    given = os.environ.get(SIMULATED_CLOCK, "")
    return simulated_clock(given, Path(home.path) if home.is_local else None, _hosts(kafka, redis)) if given else None


def _hosts(kafka: KafkaConnection | None, redis: RedisConnection | None) -> Iterator[str]:
    if kafka is not None:
        brokers = (broker.strip().rpartition("@")[2] for broker in kafka.servers.split(","))
        yield from (broker.rpartition(":")[0].strip("[]") for broker in brokers)
    if redis is not None:
        yield from (host for host, _ in redis.place.hosts)


def _unset(name: str, what: str) -> ConfigError:
    return ConfigError(f"{name} is not set: export it with the address of {what}; `make up` prints one that works")


def _kafka() -> KafkaConnection | None:
    return _connection(
        KafkaConnection,
        "servers",
        {
            "servers": "KAFKA_BOOTSTRAP_SERVERS",
            "protocol": "KAFKA_SECURITY_PROTOCOL",
            "mechanism": "KAFKA_SASL_MECHANISM",
            "username": "KAFKA_SASL_USERNAME",
            "password": "KAFKA_SASL_PASSWORD",
            "ca_file": "KAFKA_SSL_CA_LOCATION",
            "certificate_file": "KAFKA_SSL_CERTIFICATE_LOCATION",
            "key_file": "KAFKA_SSL_KEY_LOCATION",
            "key_password": "KAFKA_SSL_KEY_PASSWORD",
        },
    )


def _redis() -> RedisConnection | None:
    return _connection(
        RedisConnection,
        "url",
        {
            "url": "REDIS_URL",
            "username": "REDIS_USERNAME",
            "password": "REDIS_PASSWORD",
            "ca_file": "REDIS_SSL_CA",
            "certificate_file": "REDIS_SSL_CERTIFICATE",
            "key_file": "REDIS_SSL_KEY",
        },
    )


def _connection(kind: type[_Connection], address: str, names: Mapping[str, str]) -> _Connection | None:
    given = {field: value for field, name in names.items() if (value := os.environ.get(name, ""))}
    if address not in given:
        return None
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = names[str(first["loc"][0])] if first["loc"] else names[address]
        raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
