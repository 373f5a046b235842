"""Arrays in a folder, which the workers of a machine map into memory instead of each holding a copy."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_arrays(folder: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes each array as NAME.npy into `folder`, which is created if it does not exist."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(_file(folder, name), array, allow_pickle=False)


def map_arrays(folder: str | Path, names: Iterable[str]) -> list[NDArray[Any]]:
    """Returns the arrays with these names, memory-mapped read-only."""
    return [np.load(_file(folder, name), mmap_mode="r", allow_pickle=False) for name in names]


def _file(folder: str | Path, name: str) -> Path:
    return Path(folder) / f"{name}.npy"
