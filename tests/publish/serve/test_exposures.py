"""What the service answered is in the topic, by the process that answered; a broker that is away fails no look-up."""

import json
from pathlib import Path

import redis

from conf.connections import KafkaConnection
from deploy.servers.redis_server import RedisServer
from publish.wire.keys import ProductKeys
from tests.publish.read.test_reader import load
from tests.publish.support.exposing import exposures_in, last_words_in, new_exposing_product
from tests.publish.support.pushing import eventually
from tests.publish.support.samples import Lists, announcement_of, closed_port
from tests.publish.support.serving import serving

LISTS: Lists = {1: [10, 11], 2: [], 2**62: [12]}


def publish(client: redis.Redis, product: str) -> None:
    """A run of the product that serves."""
    run = announcement_of(LISTS, product=product, run="one")
    load(client, run, LISTS)
    pointer = {"rev": 1, "treatment": "one", "control": None, "salt": "s", "share_bp": 10_000}
    client.set(ProductKeys(product).pointer, json.dumps(pointer))


def test_every_answer_is_kept_with_its_surface(folder: Path, filled_redis: RedisServer, kafka: KafkaConnection) -> None:
    product = new_exposing_product(kafka)
    variables = {"KAFKA_BOOTSTRAP_SERVERS": kafka.servers}
    with redis.Redis.from_url(filled_redis.url) as client:
        publish(client, product)
    flags = ("--exposures", "--processes", "2")
    with serving(folder, filled_redis.url, *flags, product=product, variables=variables) as service:
        assert "exposures on" in service.said
        for _ in range(10):
            service.ask("/v1/lists/1?n=1&surface=home")
            service.ask("/v1/lists/9?exclude=900")
        service.post({"users": [str(2**62), "x", "2"], "surface": "mail"})
        service.ask("/v1/lists/x")
        eventually(lambda: service.count('discovery_lookup_exposures_total{what="delivered"') == 22)
        assert service.count('discovery_lookup_exposures_total{what="logged"') == 22
        assert service.stop() == 0
    found = exposures_in(kafka, product)
    assert {(r.user_id, r.surface, r.kind, r.source_ids) for r in found} == {
        (1, "home", "list", (10,)),
        (9, "default", "fallback", (901, 902)),
        (2**62, "mail", "list", (12,)),
        (2, "mail", "list", ()),
    }
    assert len(found) == 22
    assert {record.run for record in found} == {"one"}
    writers = last_words_in(kafka, product)
    assert sum(last.logged for last in writers) == 22
    assert {record.writer for record in found} <= {last.writer for last in writers}


def test_a_broker_that_is_away_fails_no_look_up(folder: Path, filled_redis: RedisServer) -> None:
    variables = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{closed_port()}"}
    with serving(folder, filled_redis.url, "--exposures", variables=variables) as service:
        assert [service.ask("/v1/lists/1").status for _ in range(20)] == [200] * 20
        eventually(lambda: service.count('discovery_lookup_exposures_total{what="logged"') == 20)
        assert service.count('discovery_lookup_exposures_total{what="delivered"') == 0
        assert service.stop() == 0
