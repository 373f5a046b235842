"""Redis over TLS: the files of the settings are used, and what does not fit is told at the start."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conf.connections import RedisConnection
from publish.connect.redis_clients import redis_client
from publish.errors import StoreUnreachable
from tests.publish.support.certificates import Authority, Certificate
from tests.publish.support.tls_proxy import tls_before


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.sign("server")


@pytest.fixture(scope="module")
def port(redis_url: str) -> int:
    found = urlsplit(redis_url).port
    assert found is not None
    return found


def reach(port: int, *, scheme: str = "rediss", **files: object) -> RedisConnection:
    said = {name: str(path) for name, path in files.items()}
    return RedisConnection.model_validate({"url": f"{scheme}://127.0.0.1:{port}/0", **said})


def test_the_files_of_both_sides_are_used(authority: Authority, server: Certificate, port: int) -> None:
    ours = authority.sign("client")
    with tls_before(port, server, clients=authority.ca_file) as outside:
        connection = reach(outside, ca_file=authority.ca_file, certificate_file=ours.certificate, key_file=ours.key)
        with redis_client(connection) as client:
            assert client.ping()


def test_without_a_certificate_of_ones_own(authority: Authority, server: Certificate, port: int) -> None:
    with tls_before(port, server, clients=authority.ca_file) as outside, pytest.raises(StoreUnreachable) as caught:
        redis_client(reach(outside, ca_file=authority.ca_file), timeout=10)
    assert "REDIS_SSL_" in str(caught.value)


def test_another_authority_is_not_trusted(tmp_path: Path, server: Certificate, port: int) -> None:
    with tls_before(port, server) as outside, pytest.raises(StoreUnreachable, match="REDIS_SSL_CA"):
        redis_client(reach(outside, ca_file=Authority(tmp_path, "other").ca_file), timeout=10)


def test_a_client_without_tls(server: Certificate, port: int) -> None:
    with tls_before(port, server) as outside, pytest.raises(StoreUnreachable, match="TLS"):
        redis_client(reach(outside, scheme="redis"), timeout=10)


def test_a_server_without_tls(authority: Authority, port: int) -> None:
    with pytest.raises(StoreUnreachable, match="TLS"):
        redis_client(reach(port, ca_file=authority.ca_file), timeout=10)


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_a_file_that_is_not_there(authority: Authority, server: Certificate, port: int, name: str) -> None:
    files = {"ca_file": authority.ca_file, "certificate_file": server.certificate, "key_file": server.key}
    with tls_before(port, server) as outside, pytest.raises(StoreUnreachable, match="REDIS_SSL_"):
        redis_client(reach(outside, **(files | {name: "/nowhere/file.pem"})), timeout=10)
