"""One storage interface over local folders, HDFS and object stores: pyarrow's filesystems behind a root URI."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from conf.location import GLOB, LOCAL, Location
from jobs.storage.errors import AlreadyFinished, NoAnswer, NotFinished, UnreadableFolder
from jobs.storage.filesystems import open_filesystem, path_in

if TYPE_CHECKING:
    import pyarrow.dataset as ds

MARKER = "_SUCCESS"
_RENAMING = (LOCAL, "hdfs", "viewfs")
"""Storages in which a file takes the place of another in one step; in the others a file appears when it is closed."""
_WITHOUT_FOLDERS = ("s3",)
"""Storages in which a file needs no folder: to make one would be a request per name of its path."""


@dataclass(frozen=True)
class Storage:
    """A folder named by a URI or a local path; everything below it is addressed by relative paths."""

    uri: str
    """A local folder as its path, any other as its URI; creating it raises ConfigError for anything else."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", str(Location.parse(self.uri)))

    def child(self, path: str) -> "Storage":
        """Returns the folder `path` below this one; an absolute path or URI stands for itself."""
        return Storage(str(self.location.child(path)))

    @cached_property
    def location(self) -> Location:
        """The parsed location of the folder."""
        return Location.parse(self.uri)

    @property
    def name(self) -> str:
        """Name of the folder; empty for the root of a storage."""
        return self.location.path.rpartition("/")[2]

    @property
    def parent(self) -> "Storage":
        """The folder above this one; the root of a storage is its own parent."""
        at = self.location
        return Storage(str(replace(at, path=at.path.rpartition("/")[0] or "/")))

    @property
    def local_path(self) -> Path | None:
        """The folder on this machine; None for any other storage."""
        return Path(self.location.path) if self.location.is_local else None

    @property
    def _at(self) -> tuple[fs.FileSystem, str]:
        return open_filesystem(self.location), path_in(self.location)

    @contextmanager
    def _looking_at(self, path: str) -> Iterator[None]:
        """Raises errors of the block as UnreadableFolder or NoAnswer."""
        where = _join(self.uri, path)
        try:
            yield
        except UnicodeDecodeError as error:
            raise UnreadableFolder(f"{where} holds a name that is not UTF-8: {error.object!r}; rename it") from None
        except NoAnswer:
            raise
        except (OSError, pa.ArrowException) as error:
            fault = UnreadableFolder if self.location.is_local else NoAnswer
            raise fault(f"{where} cannot be read ({error}); check our rights") from None

    def files(self, path: str = "", *, recursive: bool = False) -> list[fs.FileInfo]:
        """Returns files and folders in `path`, sorted by path; [] if there is no such folder.

        A dangling link is returned as NotFound. Raises UnreadableFolder and NoAnswer.
        """
        with self._looking_at(path):
            filesystem, root = self._at
            folder = _join(root, path)
            infos = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=recursive))
            if self.location.is_local:
                infos += [fs.FileInfo(link, fs.FileType.NotFound) for link in _links_to_nothing(folder)]
            return sorted(infos, key=lambda info: str(info.path))

    def infos(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        """Returns what is at each of these paths, NotFound where nothing is. Raises UnreadableFolder, NoAnswer."""
        with self._looking_at(""):
            filesystem, root = self._at
            found: list[fs.FileInfo] = filesystem.get_file_info([_join(root, path) for path in paths])
            return found

    def type_of(self, path: str = "") -> fs.FileType:
        """Returns what is at `path`: NotFound, a File, a Directory, or Unknown. Raises UnreadableFolder, NoAnswer."""
        with self._looking_at(path):
            filesystem, root = self._at
            return filesystem.get_file_info(_join(root, path)).type

    def tree(self, path: str) -> list[tuple[str, fs.FileInfo]]:
        """Returns every file below `path` at any depth, with its path from there, sorted by it."""
        root = f"{_join(self._at[1], path)}/"
        infos = self.files(path, recursive=True)
        return [(info.path.removeprefix(root), info) for info in infos if info.type == fs.FileType.File]

    def exists(self, path: str) -> bool:
        """Returns whether a file or folder is at `path`."""
        return bool(self.type_of(path) != fs.FileType.NotFound)

    def spark_path(self, path: str = "") -> str:
        """Returns `path` for Spark to write to, and as the basePath of what it reads."""
        at = self.location
        scheme = "s3a" if at.scheme == "s3" else at.scheme
        return _join(f"{scheme}://{at.authority}{at.path}".rstrip("/"), path)

    def spark_pattern(self, path: str = "") -> str:
        """Returns `path` for Spark to read: Spark takes paths for patterns, so special characters are escaped.

        Spark's option against that (__globPaths__) reads every file once per path that has such characters.
        """
        return GLOB.sub(r"\\\g<0>", self.spark_path(path))

    def open(self, path: str) -> pa.NativeFile:
        """Opens a file for random access. Raises FileNotFoundError."""
        filesystem, root = self._at
        return filesystem.open_input_file(_join(root, path))

    def read_bytes(self, path: str) -> bytes:
        """Returns the content of a file. Raises FileNotFoundError."""
        filesystem, root = self._at
        with filesystem.open_input_stream(_join(root, path)) as stream:
            return bytes(stream.read())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Writes a file as a whole: a reader sees the old content or the new one."""
        filesystem, root = self._at
        target = _join(root, path)
        self._make_folder(filesystem, target.rsplit("/", 1)[0])
        part = f"{target}.part" if self.location.scheme in _RENAMING else target
        try:
            with filesystem.open_output_stream(part) as stream:
                stream.write(content)
        except OSError:
            with suppress(OSError):
                filesystem.delete_file(part)  # half a file is of no use, least of all on a full disk
            raise
        if part != target:
            filesystem.move(part, target)

    def delete(self, path: str) -> None:
        """Deletes a file or a folder with its content; does nothing if it does not exist."""
        filesystem, root = self._at
        info = filesystem.get_file_info(_join(root, path))
        if info.type == fs.FileType.Directory:
            filesystem.delete_dir(info.path)
        elif info.type == fs.FileType.File:
            filesystem.delete_file(info.path)

    def finished(self, table: str) -> bool:
        """Returns whether the table has its marker."""
        return self.exists(f"{table}/{MARKER}")

    def finish(self, table: str) -> None:
        """Writes the table's marker: from now on it is finished and immutable."""
        self.write_bytes(f"{table}/{MARKER}", self._mark(table))

    def _make_folder(self, filesystem: fs.FileSystem, path: str) -> None:
        if self.location.scheme not in _WITHOUT_FOLDERS:
            filesystem.create_dir(path, recursive=True)

    def _mark(self, table: str) -> bytes:
        """Returns the content of the marker."""
        return b""

    def table(self, table: str) -> "ds.Dataset":
        """Returns a finished Parquet table, lazily. Raises NotFinished."""
        import pyarrow.dataset as ds  # it imports pandas, which most commands need not wait for

        if not self.finished(table):
            raise NotFinished(f"table {table!r} in {self.uri} is not finished; run the stage that writes it first")
        filesystem, root = self._at
        return ds.dataset(_join(root, table), format="parquet", filesystem=filesystem)

    def write_table(self, table: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        """Writes a Parquet table, then its marker. Returns the number of rows. Raises AlreadyFinished."""
        if self.finished(table):
            raise AlreadyFinished(f"table {table!r} in {self.uri} is finished and never written again; start a new run")
        self.delete(table)
        filesystem, root = self._at
        self._make_folder(filesystem, _join(root, table))
        rows = 0
        file = _join(root, f"{table}/part-0.parquet")
        # a dictionary of floats, or of ids that differ, is given up after it has been made, page by page
        with pq.ParquetWriter(file, schema, filesystem=filesystem, use_dictionary=False) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        self.finish(table)
        return rows


def _links_to_nothing(folder: str) -> list[str]:
    """Returns dangling links, which pyarrow does not list."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_symlink() and not Path(entry.path).exists()]
    except FileNotFoundError:
        return []


def _join(root: str, path: str) -> str:
    return f"{root}/{path}".rstrip("/") if path else root
