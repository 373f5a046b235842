"""A storage that is no storage here, that is away, or that never answers, is told in time and in words."""

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from conf.errors import ConfigError
from jobs.storage import filesystems
from jobs.storage.errors import NoAnswer
from jobs.storage.store import Storage
from tests.publish.support.samples import closed_port


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return  # the test is over

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Keys for an S3 that is no Amazon's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    filesystems._connect.cache_clear()
    return monkeypatch


def test_a_storage_that_never_answers(silent: str, s3: pytest.MonkeyPatch) -> None:
    s3.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    s3.setattr(filesystems, "ANSWER_SECONDS", 0.3)
    with pytest.raises(NoAnswer, match=r"s3://bucket/data gave no answer within 0.3 s; check its address") as error:
        Storage("s3a://bucket/data").files()
    assert error.value.exit_code == 1


def test_a_storage_that_is_away(s3: pytest.MonkeyPatch) -> None:
    s3.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(NoAnswer, match=r"s3://bucket/x cannot be read .*; check its address, its credentials"):
        Storage("s3://bucket/x").exists("y")


def test_an_hdfs_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(filesystems, "ANSWER_SECONDS", 0.3)  # its client tries again for minutes
    with pytest.raises(NoAnswer, match=rf"hdfs://127.0.0.1:{port}/x gave no answer within 0.3 s; check its address"):
        Storage(f"hdfs://127.0.0.1:{port}/x").files()


@pytest.mark.parametrize("address", ["hdfs://elsewhere", "viewfs://elsewhere"])
def test_a_service_that_no_configuration_knows(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    with pytest.raises(
        NoAnswer, match=rf"{address}: HDFS fails or refuses .*; check .* its address in HADOOP_CONF_DIR"
    ):
        Storage(f"{address}/x").files()


def test_where_hdfs_native_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdfs_native", None)
    with pytest.raises(ConfigError, match=r"hdfs://nobody/x: .*hdfs_native") as error:
        Storage("hdfs://nobody/x").files()
    assert error.value.exit_code == 2
