"""The meaning of names in a dataset's folder: days, data, hidden files, and misspelt days."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping

from pyarrow import fs

_FOLDER = re.compile(r"dt=(\d{4}-\d{2}-\d{2})")
_NEARLY = re.compile(r"\W*(?:\w+\W*=\W*)?(\d{4})[-_./ ]?(\d{1,2})[-_./ ]?(\d{1,2})(?:\D.*)?")
UNFINISHED_COPY = "._COPYING_"
"""Suffix of a file that `hdfs dfs -put` is still writing."""


PARTIAL_RECORD = "_partial.json"
"""File name of the record of a day's partials, the marker of a finished day. Spark ignores names that start with _."""


def folder_of(day: dt.date) -> str:
    """Returns the name of a day's folder."""
    return f"dt={day}"


def day_of(folder: str) -> dt.date | None:
    """Returns the day in a folder's name; None for other names."""
    found = _FOLDER.fullmatch(folder)
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:  # dt=2026-02-31
        return None


def days_among(infos: Iterable[fs.FileInfo]) -> tuple[dt.date, ...]:
    """Returns the days that have a folder, oldest first."""
    names = (info.base_name for info in infos if info.type == fs.FileType.Directory)
    return tuple(sorted(day for name in names if (day := day_of(name)) is not None))


def nearly_days(infos: Iterable[fs.FileInfo]) -> Mapping[dt.date, str]:
    """Returns day → a name that may be meant for it, such as DT=20261114, 2026-11-14 or dt=2026-11-4."""
    found: dict[dt.date, str] = {}
    for info in infos:
        match = _NEARLY.fullmatch(info.base_name)
        if match is None or day_of(info.base_name) is not None:
            continue
        try:
            found.setdefault(dt.date(*map(int, match.groups())), info.base_name)
        except ValueError:
            continue  # not a day
    return found


def is_hidden(name: str) -> bool:
    """Returns whether Spark ignores files of this name (its HadoopFSUtils.shouldFilterOutPathName, and summaries)."""
    return (name.startswith("_") and "=" not in name) or name.startswith(".") or name.endswith(UNFINISHED_COPY)
