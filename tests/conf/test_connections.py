"""Connections are typed, complete or refused, and keep their secrets to themselves."""

import pickle
import traceback
from collections.abc import Mapping

import pytest
from pydantic import SecretStr, ValidationError

from conf.connections import KafkaConnection, RedisConnection
from conf.environment import Environment
from conf.errors import ConfigError
from publish.connect.clients import kafka_settings

SECRET = "planted-secret"
KAFKA = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "eva",
    "KAFKA_SASL_PASSWORD": SECRET,
    "KAFKA_SSL_CA_LOCATION": "/etc/ca.pem",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "/etc/own.crt",
    "KAFKA_SSL_KEY_LOCATION": "/etc/own.key",
    "KAFKA_SSL_KEY_PASSWORD": f"{SECRET}-of-key",
}
REDIS = {
    "REDIS_URL": f"rediss://:{SECRET}@redis:6379/0",
    "REDIS_USERNAME": "eva",
    "REDIS_PASSWORD": SECRET,
    "REDIS_SSL_CA": "/etc/ca.pem",
    "REDIS_SSL_CERTIFICATE": "/etc/own.crt",
    "REDIS_SSL_KEY": "/etc/own.key",
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KAFKA, *REDIS):
        monkeypatch.delenv(name, raising=False)


def said(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str | None]) -> Environment:
    for name, value in variables.items():
        monkeypatch.setenv(name, value or "")
    return Environment.read()


def test_every_variable_of_kafka_reaches_librdkafka(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = kafka_settings(said(monkeypatch, KAFKA).need_kafka(), "test")
    assert (
        settings.items()
        >= {
            "bootstrap.servers": "kafka:9093",
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": "eva",
            "sasl.password": SECRET,
            "ssl.ca.location": "/etc/ca.pem",
            "ssl.certificate.location": "/etc/own.crt",
            "ssl.key.location": "/etc/own.key",
            "ssl.key.password": f"{SECRET}-of-key",
        }.items()
    )


def test_what_is_not_said_is_left_to_librdkafka(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = said(monkeypatch, {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"})
    assert not [name for name in kafka_settings(environment.need_kafka(), "test") if name.startswith(("sasl", "ssl"))]


def test_every_variable_of_redis_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = said(monkeypatch, REDIS).need_redis()
    assert connection == RedisConnection(
        url=SecretStr(REDIS["REDIS_URL"]),
        username="eva",
        password=SecretStr(SECRET),
        ca_file="/etc/ca.pem",
        certificate_file="/etc/own.crt",
        key_file="/etc/own.key",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": SECRET}, "KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT'"),
        ({"KAFKA_SASL_MECHANISM": SECRET}, "KAFKA_SASL_MECHANISM: Input should be 'PLAIN'"),
        ({"KAFKA_SASL_PASSWORD": None}, "needs KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        ({"KAFKA_SECURITY_PROTOCOL": None}, "KAFKA_SASL_… is set, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "nothing would be encrypted"),
        ({"KAFKA_SSL_KEY_LOCATION": None}, "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION go together"),
        (
            {"REDIS_URL": f"redis://:{SECRET}@redis:6379/0"},
            "REDIS_URL is not rediss://…, so nothing would be encrypted",
        ),
        ({"REDIS_SSL_KEY": None}, "REDIS_SSL_CERTIFICATE and REDIS_SSL_KEY go together"),
    ],
)
def test_half_a_connection_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, str | None], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        said(monkeypatch, {**KAFKA, **REDIS, **changes})
    assert words in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_way_of_showing_a_connection_shows_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = said(monkeypatch, KAFKA | REDIS | {"MLFLOW_TRACKING_URI": f"http://eva:{SECRET}@mlflow:5000"})
    kafka, redis = environment.need_kafka(), environment.need_redis()
    shown = [
        text
        for thing in (environment, kafka, redis)
        for text in (repr(thing), str(thing), f"{thing}", thing.model_dump_json(), str(thing.model_dump()))
    ]
    assert [text for text in (*shown, kafka.address, redis.address) if SECRET in text] == []
    assert pickle.loads(pickle.dumps(kafka)) == kafka  # as Spark sends it to its workers


def test_a_wrong_field_is_told_without_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        KafkaConnection.model_validate({"servers": "kafka:9092", "pasword": SECRET})
    assert "pasword" in str(caught.value)
    assert SECRET not in str(caught.value)
