"""A table is finished when its marker is there, and then never written again."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from jobs.storage.errors import AlreadyFinished, NotFinished, UnreadableFolder
from jobs.storage.store import Storage

SCHEMA = pa.schema([("user_id", pa.int64())])


def batch(*users: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(users, pa.int64())], schema=SCHEMA)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_written_table_is_read_back(tmp_path: Path, scheme: str) -> None:
    storage = Storage(f"{scheme}{tmp_path}/run")
    assert storage.write_table("lists", [batch(1, 2), batch(3)], SCHEMA) == 3
    assert storage.table("lists").to_table()["user_id"].to_pylist() == [1, 2, 3]


def test_a_finished_table_is_never_written_again(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_table("lists", [batch(1)], SCHEMA)
    with pytest.raises(AlreadyFinished, match="lists"):
        storage.write_table("lists", [batch(2)], SCHEMA)


def test_a_killed_write_leaves_no_table_and_can_be_repeated(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    def killed() -> pa.RecordBatch:
        yield batch(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_table("lists", killed(), SCHEMA)
    with pytest.raises(NotFinished, match="run the stage"):
        storage.table("lists")
    assert storage.write_table("lists", [batch(7)], SCHEMA) == 1
    assert storage.table("lists").to_table()["user_id"].to_pylist() == [7]


def test_files_are_written_whole_and_deleted_with_their_folder(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes("a/b.json", b"1")
    storage.write_bytes("a/b.json", b"2")
    assert storage.read_bytes("a/b.json") == b"2"
    assert [info.base_name for info in storage.files("a")] == ["b.json"]
    storage.delete("a")
    assert not storage.exists("a")
    storage.delete("a")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_tree_names_files_from_its_root(tmp_path: Path, scheme: str) -> None:
    storage = Storage(f"{scheme}{tmp_path}/lists/run/")
    for path in ("lists/b", "lists/a=1/lists/c", "other/d"):
        storage.write_bytes(path, b"x")
    assert [(name, info.size) for name, info in storage.tree("lists")] == [("a=1/lists/c", 1), ("b", 1)]
    assert storage.tree("gone") == []


def test_what_pyarrow_lists_not_or_cannot_name(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    (tmp_path / "day").mkdir()
    (tmp_path / "day/there").touch()
    (tmp_path / "day/link").symlink_to("there")
    (tmp_path / "day/lost").symlink_to("nowhere")
    os.mkfifo(tmp_path / "day/pipe")
    kinds = {info.base_name: info.type for info in storage.files("day")}
    assert kinds == {
        "there": fs.FileType.File,
        "link": fs.FileType.File,
        "lost": fs.FileType.NotFound,
        "pipe": fs.FileType.Unknown,
    }
    assert storage.files("nowhere") == []
    (tmp_path / "day/loop").symlink_to("loop")
    assert "loop" in {info.base_name for info in storage.files("day")}
    Path(os.fsdecode(bytes(tmp_path / "day") + b"/a\xff")).touch()
    with pytest.raises(UnreadableFolder, match=r"/day holds a name that is not UTF-8: .*a\\xff") as error:
        storage.files("day")
    assert error.value.exit_code == 2


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Storage(str(tmp_path)).type_of("file") == fs.FileType.File
    assert not Storage(str(tmp_path / "file")).exists("below")
    with pytest.raises(UnreadableFolder, match=r"/file cannot be read .*directory"):
        Storage(str(tmp_path)).files("file")


@pytest.mark.parametrize("scheme", ["s3", "s3a", "S3A"])
def test_spark_has_names_of_its_own(scheme: str) -> None:
    folder = Storage(f"{scheme}://bucket/a%20b")
    assert folder.uri == "s3://bucket/a%20b"
    assert folder.spark_path("dt=2026-11-14/x*.parquet") == "s3a://bucket/a b/dt=2026-11-14/x*.parquet"
    assert folder.spark_pattern("x[1]\\") == r"s3a://bucket/a b/x\[1\]\\"
    assert Storage(f"{scheme}://bucket").spark_path("x") == "s3a://bucket/x"


def test_an_absolute_path_stands_for_itself(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert storage.child("data").child("clicks").uri == f"{tmp_path}/data/clicks"
    assert storage.child("/elsewhere").uri == "/elsewhere"
    assert storage.child("s3://bucket/x").uri == "s3://bucket/x"
