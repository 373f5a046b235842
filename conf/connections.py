"""How Kafka and Redis are reached: addresses, users, TLS. Passwords are SecretStr and never in a text."""

import re
from typing import Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class _Connection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class KafkaConnection(_Connection):
    """A Kafka cluster; paths are files of the machine that connects (with Spark: of each executor)."""

    servers: str = Field(repr=False)
    """KAFKA_BOOTSTRAP_SERVERS: host:port, several with commas; what stands before an @ is kept out of texts."""
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """KAFKA_SECURITY_PROTOCOL."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """KAFKA_SASL_MECHANISM: how user and password are proved."""
    username: str | None = None
    """KAFKA_SASL_USERNAME."""
    password: SecretStr | None = None
    """KAFKA_SASL_PASSWORD."""
    ca_file: str | None = None
    """KAFKA_SSL_CA_LOCATION: PEM of the authorities to trust; default: the system's."""
    certificate_file: str | None = None
    """KAFKA_SSL_CERTIFICATE_LOCATION: PEM of the client's own certificate."""
    key_file: str | None = None
    """KAFKA_SSL_KEY_LOCATION: PEM of its key."""
    key_password: SecretStr | None = None
    """KAFKA_SSL_KEY_PASSWORD."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol.startswith("SASL") and not (self.mechanism and self.username and self.password):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL {self.protocol} needs KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD"
            )
        if not self.protocol.startswith("SASL") and (self.mechanism or self.username or self.password):
            raise ValueError(f"KAFKA_SASL_… is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}: set it to SASL_SSL")
        files = self.ca_file or self.certificate_file or self.key_file or self.key_password
        if files and not self.protocol.endswith("SSL"):
            raise ValueError(
                f"KAFKA_SSL_… is set, but KAFKA_SECURITY_PROTOCOL is {self.protocol}, so nothing would be encrypted: "
                "set it to SSL or SASL_SSL"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION go together")
        return self

    @property
    def address(self) -> str:
        """The broker list for a message: host and port of each."""
        brokers = (broker.strip() for broker in self.servers.split(","))
        return ",".join(f"***@{broker.rpartition('@')[2]}" if "@" in broker else broker for broker in brokers)


class RedisConnection(_Connection):
    """A Redis server, a Redis Cluster, or a server that Sentinels know."""

    url: SecretStr
    """REDIS_URL: redis://[user:password@]host:port/db, rediss:// for TLS, unix://path; redis+cluster://host:port,host:port,
    redis+sentinel://host:port,host:port/service/db (each also as rediss+…)."""
    username: str | None = None
    """REDIS_USERNAME, unless the URL has one."""
    password: SecretStr | None = None
    """REDIS_PASSWORD, unless the URL has one."""
    ca_file: str | None = None
    """REDIS_SSL_CA: PEM of the authorities to trust; default: the system's."""
    certificate_file: str | None = None
    """REDIS_SSL_CERTIFICATE: PEM of the client's own certificate."""
    key_file: str | None = None
    """REDIS_SSL_KEY: PEM of its key."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        files = self.ca_file or self.certificate_file or self.key_file
        if files and not self.url.get_secret_value().startswith("rediss"):
            raise ValueError("REDIS_SSL_… is set, but REDIS_URL is not rediss://…, so nothing would be encrypted")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("REDIS_SSL_CERTIFICATE and REDIS_SSL_KEY go together")
        return self

    @classmethod
    def of(cls, url: str) -> Self:
        """The server at a URL."""
        return cls(url=SecretStr(url))

    @property
    def address(self) -> str:
        """The URL for a message, without secrets."""
        return mask_url(self.url.get_secret_value())


_SCHEMES = {"redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"}
_HOST = re.compile(r"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_OPEN_PARAMETERS = {
    "db",
    "protocol",
    "socket_timeout",
    "socket_connect_timeout",
    "ssl_cert_reqs",
    "health_check_interval",
}


def mask_url(url: str) -> str:
    """The URL for a message: scheme, hosts, ports and path; user, password and other parameters starred."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if parts.scheme not in _SCHEMES:  # not an address: any part of it may be the secret
        return "***"
    if "@" in parts.path + parts.query or parts.fragment:  # a password with /, ? or # in it ends up there
        return "***"
    hosts = parts.netloc.rpartition("@")[2]
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return "***"
    at = "***@" if "@" in parts.netloc else ""
    query = [(name, value if name in _OPEN_PARAMETERS else "***") for name, value in parse_qsl(parts.query)]
    return urlunsplit((parts.scheme, f"{at}{hosts}", parts.path, urlencode(query, safe="*"), ""))
