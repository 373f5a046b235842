"""A pytest plugin: a Kafka broker that wants TLS and passwords, started when first asked for."""

from collections.abc import Iterator

import pytest

from tests.publish.support.certificates import Authority
from tests.publish.support.secure_broker import SecureBroker


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of the session's servers."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="session")
def secure_broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[SecureBroker]:
    """The session's broker with users; a test grants them the rights on a product of its own."""
    with SecureBroker(tmp_path_factory.mktemp("secure_kafka"), authority) as broker:
        yield broker
