"""Shares are whole basis points; addresses are asked for by name and never shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from conf.environment import Environment
from conf.errors import ConfigError
from conf.share import EVERYBODY, Fraction, Share


@given(st.integers(0, 10_000))
def test_a_share_survives_its_fraction_and_its_percentage(bp: int) -> None:
    assert Share.fraction(bp / 10_000) == Share(bp) == Share.percent(bp / 100)


@pytest.mark.parametrize("value", [-0.1, 1.1, 0.00001, float("nan"), float("inf")])
def test_other_shares_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="share"):
        Share.fraction(value)


class Written(BaseModel):
    share_bp: Share
    share: Fraction = EVERYBODY


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_documents_hold_basis_points_and_settings_a_fraction(points: int, more: int) -> None:
    text = json.dumps({"share_bp": points, "share": more / 10_000})
    read = Written.model_validate_json(text)
    assert read == Written(share_bp=Share(points), share=Share(more)) == Written.model_validate(json.loads(text))
    assert json.loads(read.model_dump_json()) == json.loads(text) == read.model_dump()


@pytest.mark.parametrize(
    "document",
    [{"share_bp": 10_001}, {"share_bp": -1}, {"share_bp": 0.5}, {"share_bp": "x"}, {"share_bp": None}]
    + [{"share_bp": 1, "share": value} for value in (1.5, -0.1, 0.33333, "0.5", True, None, float("nan"))],
)
def test_no_other_number_is_a_share(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as error:
        Written.model_validate(document)
    [fault] = error.value.errors()
    assert fault["loc"] == (list(document)[-1],)


@pytest.mark.parametrize(
    ("home", "store"),
    [
        ("/a b#", "sqlite:////a b#/mlflow.db"),
        ("file:///a%20b", "sqlite:////a b/mlflow.db"),
        ("/a?b%41", "sqlite+pysqlite:////a%3Fb%2541/mlflow.db"),
    ],
)
def test_the_models_store_lies_in_the_work_folder(home: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_HOME", home)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Environment.read().need_mlflow() == store


def test_a_work_folder_elsewhere_holds_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_HOME", "s3a://bucket/work")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    environment = Environment.read()
    assert (environment.home, environment.is_local) == ("s3://bucket/work", False)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI is not set"):
        environment.need_mlflow()
    monkeypatch.setenv("DISCOVERY_HOME", "ftp://host/work")
    with pytest.raises(ConfigError, match="DISCOVERY_HOME: ftp://host/work: no storage of the kind"):
        Environment.read()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:planted-secret@127.0.0.1:1/0")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    environment = Environment.read()
    assert "planted-secret" not in repr(environment) + environment.model_dump_json() + str(environment.need_redis())
    assert environment.need_redis().address == "redis://***@127.0.0.1:1/0"
    with pytest.raises(ConfigError, match="KAFKA_BOOTSTRAP_SERVERS"):
        environment.need_kafka()
