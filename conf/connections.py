"""Connections to Kafka and Redis: addresses, users, TLS. Passwords are SecretStr and appear in no message."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from conf.redis_url import RedisPlace, parse_redis_url


class _Connection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaConnection(_Connection):
    """A Kafka cluster; file paths are on the machine that connects (with Spark: each executor)."""

    servers: str = Field(repr=False)
    """KAFKA_BOOTSTRAP_SERVERS: host:port, several with commas; text before an @ is hidden in messages."""
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """KAFKA_SECURITY_PROTOCOL."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """KAFKA_SASL_MECHANISM: how user and password are authenticated."""
    username: str | None = None
    """KAFKA_SASL_USERNAME."""
    password: SecretStr | None = None
    """KAFKA_SASL_PASSWORD."""
    ca_file: str | None = None
    """KAFKA_SSL_CA_LOCATION: PEM file of trusted authorities; default: the system's."""
    certificate_file: str | None = None
    """KAFKA_SSL_CERTIFICATE_LOCATION: PEM file of the client's certificate."""
    key_file: str | None = None
    """KAFKA_SSL_KEY_LOCATION: PEM file of the client's key."""
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
        """Hosts and ports of the brokers, for messages."""
        brokers = (broker.strip() for broker in self.servers.split(","))
        return ",".join(f"***@{broker.rpartition('@')[2]}" if "@" in broker else broker for broker in brokers)


class RedisConnection(_Connection):
    """A Redis server, a Redis Cluster, or a server behind Sentinels."""

    url: SecretStr
    """REDIS_URL: redis://[user:password@]host:port/db, rediss:// for TLS, unix://path; redis+cluster://host:port,host:port,
    redis+sentinel://host:port,host:port/service/db (each also as rediss+…); options: docs/redis.md."""
    username: str | None = None
    """REDIS_USERNAME; used if the URL has no user."""
    password: SecretStr | None = None
    """REDIS_PASSWORD; used if the URL has no password."""
    ca_file: str | None = None
    """REDIS_SSL_CA: PEM file of trusted authorities; default: the system's."""
    certificate_file: str | None = None
    """REDIS_SSL_CERTIFICATE: PEM file of the client's certificate."""
    key_file: str | None = None
    """REDIS_SSL_KEY: PEM file of the client's key."""

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, url: SecretStr) -> SecretStr:
        parse_redis_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _complete(self) -> Self:
        files = self.ca_file or self.certificate_file or self.key_file
        if files and not self.place.tls:
            raise ValueError("REDIS_SSL_… is set, but REDIS_URL is not rediss://…, so nothing would be encrypted")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("REDIS_SSL_CERTIFICATE and REDIS_SSL_KEY go together")
        return self

    @classmethod
    def of(cls, url: str) -> Self:
        """Returns the connection to the server at a URL."""
        return cls(url=SecretStr(url))

    @property
    def place(self) -> RedisPlace:
        """The parsed URL; it contains secrets."""
        return parse_redis_url(self.url.get_secret_value())

    @property
    def address(self) -> str:
        """The URL without secrets, for messages."""
        return self.place.address
