"""An installation of two products behind the inspector's pages, made once for the tests here."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from conf.connections import RedisConnection
from conf.environment import Environment
from jobs.inspector.app import Inspector
from jobs.inspector.guard import LOOPBACK
from jobs.inspector.installation import Installation, Product
from jobs.inspector.serve import server_of
from tests.jobs.inspector.site import Site, make_site


@pytest.fixture(scope="session")
def sites(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Site]:
    """A product whose ids are numbers, and one whose ids are hostile texts."""
    home = tmp_path_factory.mktemp("inspected")
    environment = Environment(home=str(home), kafka=None, redis=RedisConnection(url=redis_url), mlflow=None)
    client = redis.Redis.from_url(redis_url)
    numbers = make_site(home, client, environment, "inspected", "int64")
    return numbers, make_site(home, client, environment, "hostile", "string")


@pytest.fixture(scope="session")
def address(sites: tuple[Site, Site]) -> Iterator[str]:
    """Where the pages of both products are."""
    with served([site.product for site in sites]) as at:
        yield at


@contextmanager
def served(products: list[Product]) -> Iterator[str]:
    """The pages of products on a free port, for the length of the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = server_of(Inspector(Installation(products)), LOOPBACK, any_address=False)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(120)
        listening.close()
        assert not thread.is_alive()
