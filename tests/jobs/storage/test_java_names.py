"""Names that Java cannot write in the encoding of its locale."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import BrokenPartitionError
from jobs.storage.errors import UnreadableFolder
from jobs.storage.folders import check_folders
from jobs.storage.java_names import jvm_encoding
from jobs.storage.store import Storage
from tests.features.world import ago, dataset, events, settings
from tests.jobs.days import dry, write_day


@pytest.fixture
def locale(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A process that spark-submit has not started, and whose JVM is asked anew."""
    for name in ("PYSPARK_GATEWAY_PORT", "LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    jvm_encoding.cache_clear()
    yield monkeypatch
    jvm_encoding.cache_clear()


def test_a_file_that_java_cannot_name(locale: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = write_day(tmp_path / "data/clicks", ago(1), events(ago(1), (1, 2, "like")))
    (folder / "part-0.parquet").rename(folder / "größe.parquet")
    locale.setenv("LC_ALL", "C")
    with pytest.raises(BrokenPartitionError, match=r"dt=.*/größe.parquet cannot be named by Java.*LC_ALL=C.UTF-8"):
        dry(tmp_path).partitions(dataset(), [ago(1)])
    jvm_encoding.cache_clear()
    locale.setenv("LC_ALL", "C.UTF-8")
    assert len(dry(tmp_path).partitions(dataset(), [ago(1)]).finished) == 1


def test_a_folder_that_java_cannot_name(locale: pytest.MonkeyPatch) -> None:
    locale.setenv("LANG", "POSIX")
    check_folders(Storage("/work"), settings())
    check_folders(Storage("hdfs://nn/größe"), settings())  # HDFS has its own names
    with pytest.raises(UnreadableFolder, match=r"/größe cannot be named by Java, whose locale has the encoding ANSI"):
        check_folders(Storage("/größe"), settings())


def test_without_java_nothing_is_refused(locale: pytest.MonkeyPatch) -> None:
    locale.setenv("JAVA_HOME", "/nowhere")
    check_folders(Storage("/größe"), settings())
