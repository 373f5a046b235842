"""A storage that is no storage here, that is away, or that never answers, is told in time and in words."""

import socket
import threading
from collections.abc import Iterator

import pytest

from conf.errors import ConfigError
from jobs.storage import filesystems
from jobs.storage.errors import NoAnswer
from jobs.storage.store import Storage


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
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    s3.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(NoAnswer, match=r"s3://bucket/x cannot be read .*; check its address, its credentials"):
        Storage("s3://bucket/x").exists("y")


def test_hdfs_without_its_native_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARROW_LIBHDFS_DIR", "/nowhere")
    monkeypatch.setenv("HADOOP_HOME", "/nowhere")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(
        ConfigError, match=r"HDFS needs Hadoop's native client beside pyarrow.*set JAVA_HOME, HADOOP_HOME"
    ):
        Storage("hdfs://127.0.0.1:1/x").files()
