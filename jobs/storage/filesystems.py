"""Opens pyarrow's file system for each kind of storage, once, if the storage answers in time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from conf.errors import ConfigError
from conf.location import Location
from jobs.storage.errors import NoAnswer
from jobs.storage.hdfs import open_hdfs
from jobs.storage.s3 import open_s3, refuse_no_bucket

ANSWER_SECONDS = 30.0
"""Seconds within which a storage must answer first; the libraries themselves would wait for minutes."""
_Answer = TypeVar("_Answer")


def open_filesystem(location: Location) -> fs.FileSystem:
    """Returns the file system of a location that answers. Raises ConfigError for an unknown kind, and NoAnswer."""
    return fs.LocalFileSystem() if location.is_local else _answering(location)


def path_in(location: Location) -> str:
    """Returns the location's path in its file system."""
    if location.scheme in ("s3", "gs"):
        return f"{location.authority}{location.path}".rstrip("/")
    if location.scheme.startswith("abfs"):
        return f"{location.authority.partition('@')[0]}{location.path}".rstrip("/")
    return location.path


@cache
def _answering(location: Location) -> fs.FileSystem:
    def ask() -> fs.FileSystem:
        filesystem = _connect(location.scheme, location.authority)
        info = filesystem.get_file_info(path_in(location))
        if location.scheme == "s3" and info.type == fs.FileType.NotFound:
            refuse_no_bucket(filesystem, location)
        return filesystem

    try:
        return _within(ANSWER_SECONDS, ask)
    except TimeoutError:
        raise NoAnswer(
            f"{location} gave no answer within {ANSWER_SECONDS:g} s; check its address and that it is up"
        ) from None
    except (ImportError, pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise ConfigError(f"{location}: the installed pyarrow cannot read {location.scheme}://: {error}") from None
    except (NoAnswer, ConfigError):
        raise
    except (OSError, pa.ArrowException) as error:
        text = str(error).partition("\n")[0]
        raise NoAnswer(
            f"{location} cannot be read ({text}); check its address, its credentials and our rights"
        ) from None


@cache
def _connect(scheme: str, authority: str) -> fs.FileSystem:
    if scheme in ("hdfs", "viewfs"):
        return open_hdfs(scheme, authority)
    if scheme == "s3":
        return open_s3(authority)
    filesystem, _ = fs.FileSystem.from_uri(f"{scheme}://{authority}/")
    return filesystem


def _within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Returns what `ask` returns or raises. Raises TimeoutError; a call that hangs blocks only its thread."""
    future: Future[_Answer] = Future()

    def fulfil() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - not swallowed: raised in the caller's thread
            future.set_exception(error)

    threading.Thread(target=fulfil, name="storage", daemon=True).start()
    return future.result(seconds)
