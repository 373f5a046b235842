"""A real HDFS of one process, whose jars are downloaded once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.servers.hadoop_cluster import HadoopCluster
from jobs.storage import filesystems


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """The session's HDFS; its superuser is the one who runs the tests."""
    with HadoopCluster(tmp_path_factory.mktemp("hadoop"), node_managers=0) as cluster:
        yield cluster


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes pyarrow's calls those of another user of HDFS, until the test ends."""

    def connect_anew() -> None:
        filesystems._answering.cache_clear()
        filesystems._connect.cache_clear()

    def change(user: str) -> None:
        monkeypatch.setenv("HADOOP_USER_NAME", user)
        connect_anew()

    yield change
    connect_anew()


@pytest.fixture(params=["local", "hdfs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new folder of each kind of storage."""
    if request.param == "local":
        return str(tmp_path)
    cluster: HadoopCluster = request.getfixturevalue("hdfs")
    return f"{cluster.uri}{tmp_path}"
