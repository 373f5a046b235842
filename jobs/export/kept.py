"""What was read of files is kept until they change, so that a scrape of a hundred runs reads what is new."""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from pyarrow import fs

from jobs.storage.store import Storage

T = TypeVar("T")
K = TypeVar("K")
_MOST = 10_000


class _Stamp(NamedTuple):
    size: int | None
    nanoseconds: int | None


class Kept(Generic[T]):
    """Values made of files, each made again when size or time of its file changed."""

    def __init__(self, read: Callable[[str, fs.FileInfo], T]) -> None:
        """Creates it; read: what makes the value of the file at a path."""
        self._read = read
        self._known: dict[str, tuple[_Stamp, T]] = {}

    def of(self, at: Storage, paths: Iterable[str]) -> dict[str, T]:
        """Returns the values of those files that are there, and raises what `read` raises."""
        wanted = list(paths)
        if len(self._known) > _MOST:  # of folders that are long gone
            self._known.clear()
        found = {}
        for path, info in zip(wanted, at.infos(wanted), strict=True):
            if info.type != fs.FileType.File:
                continue
            stamp, known = _Stamp(info.size, info.mtime_ns), self._known.get(path)
            if known is None or known[0] != stamp:
                try:
                    known = stamp, self._read(path, info)
                except FileNotFoundError:  # deleted meanwhile
                    continue
                self._known[path] = known
            found[path] = known[1]
        return found


class Last(Generic[K, T]):
    """The value of the last key that was asked for."""

    def __init__(self) -> None:
        self._known: tuple[K, T] | None = None

    def of(self, key: K, make: Callable[[], T]) -> T:
        """Returns the value of a key, made by `make` unless it is that of the last time."""
        if self._known is None or self._known[0] != key:
            self._known = key, make()
        return self._known[1]
