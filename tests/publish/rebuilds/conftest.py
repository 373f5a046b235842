"""A product of its own on the session's broker and an empty Redis, and its operator."""

import pytest
import redis

from conf.connections import KafkaConnection
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.operate.control import Control
from tests.publish.support.pushing import new_product


@pytest.fixture
def product(kafka: KafkaConnection) -> str:
    return new_product(kafka)


@pytest.fixture
def control(kafka: KafkaConnection, clean_redis: redis.Redis, product: str) -> Control:
    return Control.connect(clean_redis, product, log=KafkaPointerLog(kafka))
