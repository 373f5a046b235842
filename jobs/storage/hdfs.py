"""HDFS for pyarrow without Java or Hadoop's native libraries: `hdfs-native` speaks its protocol itself.

Where the name node is, also of a highly available service, `core-site.xml` and `hdfs-site.xml` in HADOOP_CONF_DIR say.
Its own adapter (fsspec) is not used: it leaves out folders that it may not list, knows no modification times, takes a
file that it may not open for missing, and cuts names at # and ?.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs

from jobs.storage.errors import NoAnswer

if TYPE_CHECKING:
    from hdfs_native import Client, FileReader, FileStatus, FileWriter
    from typing_extensions import Buffer

_RPC_ERROR = re.compile(r'RPCError\("(?:[\w.]*[.$])?(\w+)", "(.*?)(?:\\n|"\)$)')
"""An error of the name node as hdfs-native tells it: a class of Java's, a message, a stack trace."""


class HdfsFault(NoAnswer, OSError):
    """HDFS is down, or refuses something; an OSError as those of other storages are."""


def open_hdfs(scheme: str, authority: str) -> fs.FileSystem:
    """Returns the file system of hdfs:// or viewfs:// at HOST:PORT or SERVICE. Raises HdfsFault, ImportError."""
    from hdfs_native import Client  # here, because most runs need no HDFS

    root = f"{scheme}://{authority}"
    with _words(root):
        return fs.PyFileSystem(_Handler(Client(root), root))


class _Handler(fs.FileSystemHandler):
    """Takes paths as they are, and raises HdfsFault for what is neither missing nor there already."""

    def __init__(self, client: "Client", root: str) -> None:
        self._client = client
        self._root = root

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handler) and self._root == other._root

    def __hash__(self) -> int:
        return hash(self._root)

    def get_type_name(self) -> str:
        return "hdfs-native"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        folder = self._info(selector.base_dir)
        if folder.type == fs.FileType.NotFound:
            if selector.allow_not_found:
                return []
            raise FileNotFoundError(self._root + selector.base_dir)
        if folder.type == fs.FileType.File:
            raise NotADirectoryError(f"{self._root}{selector.base_dir} is a file, not a directory")
        with self._at(selector.base_dir):
            return [*map(_info_of, self._client.list_status(selector.base_dir, selector.recursive))]

    def create_dir(self, path: str, recursive: bool) -> None:  # noqa: FBT001 - pyarrow calls it like this
        with self._at(path):
            self._client.mkdirs(path, create_parent=recursive)

    def delete_dir(self, path: str) -> None:
        with self._at(path):
            self._client.delete(path, recursive=True)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        for info in self.get_file_info_selector(fs.FileSelector(path, allow_not_found=missing_dir_ok)):
            self.delete_dir(info.path)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("the whole of a storage is never deleted")

    def delete_file(self, path: str) -> None:
        with self._at(path):
            if not self._client.delete(path):
                raise FileNotFoundError(path)

    def move(self, src: str, dest: str) -> None:
        with self._at(dest):
            self._client.rename(src, dest, overwrite=True)  # in one step, as in a local folder

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError("files are written once, not copied")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        with self._at(path):
            return pa.PythonFile(_Reader(self._client.read(path), self._root + path), mode="r")

    def open_output_stream(self, path: str, metadata: object) -> pa.NativeFile:
        from hdfs_native import WriteOptions

        with self._at(path):
            return pa.PythonFile(
                _Writer(self._client.create(path, WriteOptions(overwrite=True)), self._root + path), mode="w"
            )

    def open_append_stream(self, path: str, metadata: object) -> pa.NativeFile:
        raise NotImplementedError("files are written once, not appended to")

    def _info(self, path: str) -> fs.FileInfo:
        with self._at(path):
            try:
                return _info_of(self._client.get_file_info(path))
            except FileNotFoundError:
                return fs.FileInfo(path, fs.FileType.NotFound)

    def _at(self, path: str) -> AbstractContextManager[None]:
        return _words(self._root + path)


class _Reader(io.RawIOBase):
    """A file by ranges, since the position that hdfs-native keeps is refused to a second thread."""

    def __init__(self, file: "FileReader", where: str) -> None:
        self._file = file
        self._where = where
        self._size = len(file)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        with _words(self._where):
            found = self._file.read_range(self._position, wanted)
        self._position += len(found)
        return found


class _Writer(io.RawIOBase):
    """A file that readers find whole once it is closed."""

    def __init__(self, file: "FileWriter", where: str) -> None:
        self._file = file
        self._where = where

    def writable(self) -> bool:
        return True

    def write(self, content: "Buffer") -> int:
        whole = bytes(content)  # of a buffer of pyarrow's, hdfs-native takes byte by byte, in 80 ns each
        with _words(self._where):
            return self._file.write(whole)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with _words(self._where):
                self._file.close()


@contextmanager
def _words(where: str) -> Iterator[None]:
    """Raises FileNotFoundError and FileExistsError of the block in one line, and any other error as HdfsFault."""
    try:
        yield
    except (FileNotFoundError, FileExistsError, HdfsFault) as error:
        raise type(error)(_first_line(error)) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise HdfsFault(
            f"{where}: HDFS fails or refuses ({_first_line(error)}); check that it is up, its address in "
            "HADOOP_CONF_DIR, our rights and quota"
        ) from None


def _first_line(error: Exception) -> str:
    """Returns the message without Java's stack trace."""
    told = _RPC_ERROR.match(str(error))
    return f"{told[1]}: {told[2]}" if told else str(error).partition("\n")[0]


def _info_of(status: "FileStatus") -> fs.FileInfo:
    """Returns what pyarrow needs to know of a file or folder."""
    changed = status.modification_time * 1_000_000
    if status.isdir:
        return fs.FileInfo(status.path, fs.FileType.Directory, mtime_ns=changed)
    return fs.FileInfo(status.path, fs.FileType.File, mtime_ns=changed, size=status.length)
