"""What the storage promises, on local files and on a real HDFS alike; and what HDFS refuses, in words."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hdfs_native import Client
from pyarrow import fs

from conf.errors import ConfigError
from deploy.servers.hadoop_cluster import HadoopCluster
from features.errors import BrokenPartitionError
from jobs.storage.datasets import SparkCatalog
from jobs.storage.errors import AlreadyFinished, NoAnswer, NotFinished
from jobs.storage.hdfs import _Handler
from jobs.storage.store import Storage
from tests.cluster.days import upload_day
from tests.features.world import ago, dataset, events
from tests.jobs.days import no_spark
from tests.support.odd_names import ODD

WIDE = pa.schema([(f"c{number}", pa.int64()) for number in range(8)])


def wide(rows: int) -> pa.Table:
    """Columns that do not compress."""
    random = np.random.default_rng(7)
    return pa.table([random.integers(0, 2**62, rows) for _ in WIDE], schema=WIDE)


def test_a_table_is_read_back_by_many_threads_and_never_written_again(root: str) -> None:
    storage, content = Storage(root), wide(100_000)
    with pytest.raises(NotFinished):
        storage.table("lists")
    assert storage.write_table("lists", content.to_batches(10_000), WIDE) == 100_000
    assert storage.table("lists").to_table().equals(content)
    assert storage.table("lists").to_table(columns=["c3"], filter=pa.compute.field("c3") < 2**60).num_rows > 0
    with pytest.raises(AlreadyFinished):
        storage.write_table("lists", [], WIDE)


def test_files_by_odd_names(root: str) -> None:
    storage = Storage(root).child(ODD)
    before = time.time()
    storage.write_bytes(f"a/{ODD}", b"1")
    storage.write_bytes(f"a/{ODD}", b"23")
    storage.write_bytes("a/_b/c", b"")
    assert storage.read_bytes(f"a/{ODD}") == b"23"
    assert storage.read_bytes("a/_b/c") == b""
    below, file = storage.files("a")
    assert (below.base_name, below.type) == ("_b", fs.FileType.Directory)
    assert (file.base_name, file.type, file.size) == (ODD, fs.FileType.File, 2)
    assert file.mtime_ns > (before - 2) * 1e9, "one machine, one clock"
    assert [(name, info.size) for name, info in storage.tree("a")] == [("_b/c", 0), (ODD, 2)]
    with storage.open(f"a/{ODD}") as stream:
        assert (stream.size(), stream.seek(1), stream.read(), stream.read()) == (2, 1, b"3", b"")


def test_what_is_not_there(root: str) -> None:
    storage = Storage(root)
    assert storage.files("nowhere") == storage.tree("nowhere") == []
    assert not storage.exists("nowhere/below")
    for read in (storage.open, storage.read_bytes):
        with pytest.raises(FileNotFoundError):
            read("nowhere")
    storage.delete("nowhere")


def test_a_file_instead_of_a_folder(root: str) -> None:
    storage = Storage(root)
    storage.write_bytes("file", b"x")
    assert storage.type_of("file") == fs.FileType.File
    assert not storage.child("file").exists("below")
    with pytest.raises(Exception, match=r"/file cannot be read .*directory"):
        storage.files("file")
    with pytest.raises(OSError, match="directory"):
        storage.write_bytes("file/below", b"x")


def test_what_is_deleted_is_gone_with_all_below(root: str) -> None:
    storage = Storage(root)
    storage.write_bytes("a/b/c", b"x")
    storage.write_bytes("a/d", b"x")
    storage.delete("a/d")
    assert [info.base_name for info in storage.files("a")] == ["b"]
    storage.delete("a")
    assert not storage.exists("a")


def test_a_day_that_was_written_again_is_another_day(root: str) -> None:
    storage = Storage(root)
    catalog = SparkCatalog(no_spark, storage, storage.child("partials"))
    upload_day(storage.child("clicks"), ago(1), events(ago(1), (1, 2, "like")))
    (first,), (again,) = (catalog.partitions(dataset(), [ago(1)]).finished for _ in range(2))
    time.sleep(0.05)  # longer than a tick of a file system's clock
    upload_day(storage.child("clicks"), ago(1), events(ago(1), (1, 3, "like")))  # as many rows and bytes
    (later,) = catalog.partitions(dataset(), [ago(1)]).finished
    assert first.fingerprint == again.fingerprint != later.fingerprint
    storage.write_bytes(f"clicks/dt={ago(1)}/part-0.parquet", b"PAR1 half")
    with pytest.raises(BrokenPartitionError, match=r"part-0.parquet cannot be read as Parquet"):
        catalog.partitions(dataset(), [ago(1)])


def test_hdfs_has_the_old_file_until_the_new_one_is_whole(
    hdfs: HadoopCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, found = Storage(f"{hdfs.uri}{tmp_path}"), []
    move = _Handler.move

    def look_first(self: _Handler, src: str, dest: str) -> None:
        found.append(storage.read_bytes("state"))
        move(self, src, dest)

    storage.write_bytes("state", b"old")
    monkeypatch.setattr(_Handler, "move", look_first)
    storage.write_bytes("state", b"new")
    assert (found, storage.read_bytes("state")) == ([b"old"], b"new")
    assert [info.base_name for info in storage.files()] == ["state"]


def test_hdfs_refuses_what_others_own_and_says_so(
    hdfs: HadoopCluster, tmp_path: Path, become: Callable[[str], None]
) -> None:
    storage = Storage(f"{hdfs.uri}{tmp_path}")
    storage.write_bytes("theirs/file", b"x")
    storage.write_table("theirs/table", [], WIDE)
    Client(hdfs.uri).set_permission(f"{tmp_path}/theirs", 0o700)
    become("eve")
    refusals: dict[str, Callable[[], object]] = {
        "/theirs/table": lambda: storage.files("theirs/table"),
        "": lambda: storage.files(recursive=True),
        "/theirs/file": lambda: storage.read_bytes("theirs/file"),
        "/theirs/other": lambda: storage.write_bytes("theirs/other", b"x"),
        "/theirs": lambda: storage.delete("theirs"),
    }
    for path, refused in refusals.items():
        with pytest.raises(NoAnswer) as error:
            refused()
        told = str(error.value)
        assert told.startswith(f"{hdfs.uri}{tmp_path}{path}"), told
        assert "AccessControlException: Permission denied: user=eve" in told
        assert "check that it is up, its address in HADOOP_CONF_DIR, our rights" in told
        assert "\n" not in told
        assert error.value.exit_code == 1


def test_hdfs_takes_no_colon(hdfs: HadoopCluster, tmp_path: Path) -> None:
    storage = Storage(f"{hdfs.uri}{tmp_path}")
    with pytest.raises(ConfigError, match=r"a%3Ab: HDFS takes no colon in a name; rename the folder"):
        storage.child("a:b")
    with pytest.raises(NoAnswer, match=r"/a:b.part: HDFS fails or refuses \(InvalidPathException"):
        storage.write_bytes("a:b", b"x")
