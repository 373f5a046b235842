"""Faults planted in the newest week of a dataset folder: what breaks upstream of a recommender, each with a name.

`plant` makes a folder of links to the files of a clean one, with the partitions that a fault touches written anew.
Errors are PlantError.
"""

import datetime as dt
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

from numpy.random import default_rng

from benchmarks.drift.corruption import Corruption
from benchmarks.drift.event_corruptions import EVENT_CORRUPTIONS
from benchmarks.drift.snapshot_corruptions import SNAPSHOT_CORRUPTIONS
from benchmarks.drift.week import EVENTS, SNAPSHOTS, PlantError, Week

__all__ = ["CORRUPTIONS", "EVENTS", "SNAPSHOTS", "Corruption", "PlantError", "Week", "plant"]

CORRUPTIONS: Mapping[str, Corruption] = {
    corruption.name: corruption for corruption in (*EVENT_CORRUPTIONS, *SNAPSHOT_CORRUPTIONS)
}
"""Name → corruption."""


def plant(clean: Path, out: Path, name: str, as_of: dt.date, seed: int) -> None:
    """Makes `out` from links to the files below `clean`, with the corruption `name` in the week before `as_of`.

    Nothing below `clean` changes. Raises PlantError where `out` exists, or the fault cannot be planted or changes
    nothing; then there is no `out`.
    """
    if out.exists():
        raise PlantError(f"{out} exists: name another folder, or delete it")
    try:
        shutil.copytree(clean, out, copy_function=_link)
        before = _files(out)
        CORRUPTIONS[name].apply(Week(out, as_of), default_rng([seed, zlib.crc32(name.encode())]))
        if _files(out) == before:
            raise PlantError(f"{name} changes nothing in the week before {as_of} of {clean}")
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        Path(target).symlink_to(Path(source).absolute())


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_ino for path in folder.rglob("*.parquet")}
