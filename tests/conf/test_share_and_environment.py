"""Shares are whole basis points; addresses are asked for by name and never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.environment import Environment
from conf.errors import ConfigError
from conf.share import Share


@given(st.integers(0, 10_000))
def test_a_share_survives_its_fraction_and_its_percentage(bp: int) -> None:
    assert Share.fraction(bp / 10_000) == Share(bp) == Share.percent(bp / 100)


@pytest.mark.parametrize("value", [-0.1, 1.1, 0.00001, float("nan"), float("inf")])
def test_other_shares_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="share"):
        Share.fraction(value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:planted-secret@127.0.0.1:1/0")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    environment = Environment.read()
    assert "planted-secret" not in repr(environment) + environment.model_dump_json() + str(environment.need_redis())
    assert environment.need_redis().address == "redis://***@127.0.0.1:1/0"
    with pytest.raises(ConfigError, match="KAFKA_BOOTSTRAP_SERVERS"):
        environment.need_kafka()
