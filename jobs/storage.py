"""One storage interface over local folders, HDFS and object stores: pyarrow's filesystems behind a root URI.

StorageError
├── AlreadyFinished     a finished table is never written again
└── NotFinished         the table's marker is not there
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from conf.errors import DiscoveryError

MARKER = "_SUCCESS"


class StorageError(DiscoveryError):
    """Storage cannot do what was asked."""


class AlreadyFinished(StorageError):
    """The table is finished and therefore immutable."""


class NotFinished(StorageError):
    """The table does not exist or was not written to its end."""


@dataclass(frozen=True)
class Storage:
    """A folder named by a URI or a local path; everything below it is addressed by relative paths."""

    uri: str

    def child(self, path: str) -> "Storage":
        """The folder `path` below this one; an absolute path or URI stands for itself."""
        if "://" in path or path.startswith("/"):
            return Storage(path)
        return Storage(f"{self.uri.rstrip('/')}/{path}")

    @property
    def _at(self) -> tuple[fs.FileSystem, str]:
        if "://" not in self.uri:
            return fs.LocalFileSystem(), str(Path(self.uri).absolute())
        filesystem, path = fs.FileSystem.from_uri(self.uri)
        return filesystem, path

    def files(self, path: str = "", *, recursive: bool = False) -> list[fs.FileInfo]:
        """Files and folders below `path`, sorted by path; empty when there is no such folder."""
        filesystem, root = self._at
        selector = fs.FileSelector(_join(root, path), allow_not_found=True, recursive=recursive)
        return sorted(filesystem.get_file_info(selector), key=lambda info: str(info.path))

    def tree(self, path: str) -> list[tuple[str, fs.FileInfo]]:
        """Every file below `path`, however deep, by its path from there, sorted by it."""
        root = f"{_join(self._at[1], path)}/"
        infos = self.files(path, recursive=True)
        return [(info.path.removeprefix(root), info) for info in infos if info.type == fs.FileType.File]

    def exists(self, path: str) -> bool:
        """Whether a file or folder is at `path`."""
        filesystem, root = self._at
        return bool(filesystem.get_file_info(_join(root, path)).type != fs.FileType.NotFound)

    def spark_path(self, path: str = "") -> str:
        """`path` as Spark names it: a local folder with its scheme, S3 by the connector's."""
        where = self.uri if "://" in self.uri else f"file://{Path(self.uri).absolute()}"
        return _join(where.replace("s3://", "s3a://", 1).rstrip("/"), path)

    def open(self, path: str) -> pa.NativeFile:
        """A file for random access; raises FileNotFoundError."""
        filesystem, root = self._at
        return filesystem.open_input_file(_join(root, path))

    def read_bytes(self, path: str) -> bytes:
        """The content of a file; raises FileNotFoundError."""
        filesystem, root = self._at
        with filesystem.open_input_stream(_join(root, path)) as stream:
            return bytes(stream.read())

    def write_bytes(self, path: str, content: bytes) -> None:
        """Writes a file whole: a reader sees the old content or the new one."""
        filesystem, root = self._at
        target = _join(root, path)
        filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
        part = f"{target}.part" if isinstance(filesystem, fs.LocalFileSystem) else target
        try:
            with filesystem.open_output_stream(part) as stream:
                stream.write(content)
        except OSError:
            with suppress(OSError):
                filesystem.delete_file(part)  # half a file helps nobody, least of all on a full disk
            raise
        if part != target:
            filesystem.move(part, target)

    def delete(self, path: str) -> None:
        """Deletes a file or a folder with all it holds; nothing happens when it is not there."""
        filesystem, root = self._at
        info = filesystem.get_file_info(_join(root, path))
        if info.type == fs.FileType.Directory:
            filesystem.delete_dir(info.path)
        elif info.type == fs.FileType.File:
            filesystem.delete_file(info.path)

    def finished(self, table: str) -> bool:
        """Whether the table's marker is written."""
        return self.exists(f"{table}/{MARKER}")

    def finish(self, table: str) -> None:
        """Writes the table's marker: from now on it is finished and immutable."""
        self.write_bytes(f"{table}/{MARKER}", self._mark(table))

    def _mark(self, table: str) -> bytes:
        """What the marker holds."""
        return b""

    def table(self, table: str) -> ds.Dataset:
        """A finished Parquet table, lazily; raises NotFinished."""
        if not self.finished(table):
            raise NotFinished(f"table {table!r} in {self.uri} is not finished; run the stage that writes it first")
        filesystem, root = self._at
        return ds.dataset(_join(root, table), format="parquet", filesystem=filesystem)

    def write_table(self, table: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        """Writes a Parquet table and its marker last; gives its rows; raises AlreadyFinished."""
        if self.finished(table):
            raise AlreadyFinished(f"table {table!r} in {self.uri} is finished and never written again; start a new run")
        self.delete(table)
        filesystem, root = self._at
        filesystem.create_dir(_join(root, table), recursive=True)
        rows = 0
        with pq.ParquetWriter(_join(root, f"{table}/part-0.parquet"), schema, filesystem=filesystem) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        self.finish(table)
        return rows


def _join(root: str, path: str) -> str:
    return f"{root}/{path}".rstrip("/") if path else root
