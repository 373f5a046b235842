"""The location of a folder: a path on this machine or a storage URI, with one meaning for pyarrow and Spark."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from conf.errors import ConfigError

LOCAL = "file"
SCHEMES = {
    "file": LOCAL,
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "abfss": "abfss",
    "abfs": "abfs",
    "hdfs": "hdfs",
    "viewfs": "viewfs",
}
"""Accepted scheme → the scheme it stands for."""
GLOB = re.compile(r"[*?\[\]{}\\]")
"""Characters that are wildcards or escapes in a path that Spark reads."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9._-]*(:[0-9]+)?")
_CONTAINER = re.compile(r"[A-Za-z0-9$-]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Location:
    """A folder or file by its literal path; `str` returns text that parses to the same location."""

    scheme: str
    """One of the values of SCHEMES."""
    authority: str
    """Bucket, container@account or name node; empty for a local path."""
    path: str
    """Absolute, not percent-encoded, without . and .. and without a trailing slash; a whole bucket is /."""

    def __post_init__(self) -> None:
        if puzzles_spark(self.path):
            raise ConfigError(
                f"{self}: a path with a colon and one of * ? [ ] {{ }} \\ cannot be read by Spark; rename the folder"
            )
        if self.scheme == "hdfs" and ":" in self.path:
            raise ConfigError(f"{self}: HDFS takes no colon in a name; rename the folder")

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Returns the location of a path or URI; raises ConfigError, which says what to write."""
        _refuse_unwritable(text)
        if not _is_uri(text):
            return cls(LOCAL, "", _local(text))
        scheme, _, rest = text.partition(":")
        known = SCHEMES.get(scheme.lower())
        if known is None:
            raise ConfigError(
                f"{_masked(text)}: no storage of the kind {scheme}:// is known; write a path, or one of "
                f"{', '.join(f'{name}://' for name in SCHEMES)}"
            )
        if known == LOCAL and rest.startswith("/") and not rest.startswith("//"):
            rest = f"//{rest}"  # file:/path, as Java writes it
        if not rest.startswith("//"):
            raise ConfigError(f"{_masked(text)}: is not a URI; write {scheme.lower()}://…")
        authority, slash, path = rest[2:].partition("/")
        return _of_uri(known, authority, slash + path, text)

    @property
    def is_local(self) -> bool:
        """Whether it is in this machine's file system."""
        return self.scheme == LOCAL

    def child(self, text: str) -> "Location":
        """Returns the literal relative path `text` below this one; an absolute path or a URI is returned as it is."""
        if text.startswith("/") or _is_uri(text):
            return Location.parse(text)
        _refuse_unwritable(text)
        below = f"{self.path.rstrip('/')}/{text}"
        return Location(self.scheme, self.authority, _local(below) if self.is_local else _plain(below, text))

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.scheme}://{self.authority}{quote(self.path)}"


def puzzles_spark(path: str) -> bool:
    """Returns whether Spark can write a path but not read it.

    Once escaped, such a path is a pattern, and Spark reads each part of a pattern as a URI.
    """
    return ":" in path and bool(GLOB.search(path))


def is_folder_name(text: str) -> bool:
    """Returns whether a folder can have this name, both for pyarrow and for Spark."""
    return text not in ("", ".", "..") and "/" not in text and _is_writable(text) and not puzzles_spark(text)


def _is_uri(text: str) -> bool:
    scheme, colon, rest = text.partition(":")
    return bool(colon) and (scheme.lower() in SCHEMES or (rest.startswith("/") and bool(_SCHEME.fullmatch(scheme))))


def _of_uri(scheme: str, authority: str, path: str, text: str) -> Location:
    """Returns the location of a URI whose parts are still percent-encoded."""
    if "?" in text or "#" in text:
        raise ConfigError(
            f"{_masked(text)}: a URI with ? or # is not supported: storages have their own configuration "
            "(AWS_…, core-site.xml); in the name of a folder write %3F and %23"
        )
    if _BAD_PERCENT.search(text):
        raise ConfigError(f"{_masked(text)}: in a URI, % begins an encoded character; write %25 for a percent sign")
    _check_authority(scheme, authority, text)
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{_masked(text)}: its encoded characters are not UTF-8") from None
    _refuse_unwritable(decoded)
    if scheme == LOCAL:
        return Location(LOCAL, "", _local(decoded or "/"))
    return Location(scheme, authority, _plain(decoded, _masked(text)))


def _check_authority(scheme: str, authority: str, text: str) -> None:
    shown = _masked(text)
    if scheme == LOCAL:
        if authority.lower() not in ("", "localhost"):
            raise ConfigError(f"{shown}: {authority!r} is another machine; write file:///… for a path of this one")
    elif scheme.startswith("abfs"):
        if not _CONTAINER.fullmatch(authority):
            raise ConfigError(f"{shown}: write {scheme}://container@account.dfs.core.windows.net/…")
    elif not _HOST.fullmatch(authority):
        raise ConfigError(
            f"{shown}: between // and / only the name of a bucket or a machine may stand; users and keys "
            "belong into the storage's own configuration"
        )
    elif not authority and scheme in ("s3", "gs"):
        raise ConfigError(f"{shown}: names no bucket; write {scheme}://bucket/…")


def _local(text: str) -> str:
    """Returns an absolute path; .. is resolved by the file system, also after a link."""
    parts = [part for part in str(Path.cwd() / text).split("/") if part not in ("", ".")]
    path = "/" + "/".join(parts)
    return os.path.realpath(path) if ".." in parts else path


def _plain(path: str, shown: str) -> str:
    """Returns the path without a trailing slash; raises ConfigError for empty names, . and .."""
    parts = path.rstrip("/").split("/")[1:]
    if {"", ".", ".."} & {*parts}:
        raise ConfigError(f"{shown}: has an empty name, . or .. in it, which a storage cannot resolve; write it out")
    return "/" + "/".join(parts)


def _refuse_unwritable(text: str) -> None:
    if not _is_writable(text):
        raise ConfigError(f"{text!a}: a folder's name cannot have characters that are not UTF-8, or NUL")


def _is_writable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _masked(text: str) -> str:
    """Returns the text for a message, without what precedes an @, which may be a secret."""
    return text if "@" not in text else f"{text.partition(':')[0]}://***{text.rpartition('@')[2]}"
