"""What the environment says: addresses, secrets and the work folder; never parameters."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from conf.errors import ConfigError


class Environment(BaseModel):
    """Addresses and folders of this installation; the addresses may hold passwords and are never printed."""

    model_config = ConfigDict(frozen=True)

    home: str
    """DISCOVERY_HOME: URI or folder with runs, partials and the default MLflow store; default ./work."""
    kafka: SecretStr | None
    """KAFKA_BOOTSTRAP_SERVERS."""
    redis: SecretStr | None
    """REDIS_URL."""
    mlflow: SecretStr | None
    """MLFLOW_TRACKING_URI; default: SQLite in the work folder, where that is a local one."""

    @classmethod
    def read(cls) -> "Environment":
        """The environment of this process; creates nothing."""
        home = os.environ.get("DISCOVERY_HOME", "") or "work"
        if "://" not in home:
            home = str(Path(home).absolute())
        return cls(
            home=home,
            kafka=_secret("KAFKA_BOOTSTRAP_SERVERS"),
            redis=_secret("REDIS_URL"),
            mlflow=_secret("MLFLOW_TRACKING_URI") or _sqlite(home),
        )

    @property
    def is_local(self) -> bool:
        """Whether the work folder is a folder of this machine."""
        return "://" not in self.home or self.home.startswith("file://")

    def need_mlflow(self) -> str:
        """The tracking store; raises ConfigError when it is not set and the work folder cannot hold one."""
        return _needed(self.mlflow, "MLFLOW_TRACKING_URI", "the MLflow server, e.g. http://127.0.0.1:5000")

    def need_kafka(self) -> str:
        """The broker's address; raises ConfigError when it is not set."""
        return _needed(self.kafka, "KAFKA_BOOTSTRAP_SERVERS", "the Kafka broker, e.g. 127.0.0.1:9092")

    def need_redis(self) -> str:
        """The address of the online store; raises ConfigError when it is not set."""
        return _needed(self.redis, "REDIS_URL", "the online store, e.g. redis://127.0.0.1:6379/0")


def _sqlite(home: str) -> SecretStr | None:
    return None if "://" in home else SecretStr(f"sqlite:///{home}/mlflow.db")


def _secret(name: str) -> SecretStr | None:
    value = os.environ.get(name, "")
    return SecretStr(value) if value else None


def _needed(value: SecretStr | None, name: str, what: str) -> str:
    if value is None:
        raise ConfigError(f"{name} is not set: export it with the address of {what}; `make up` prints one that works")
    return value.get_secret_value()
