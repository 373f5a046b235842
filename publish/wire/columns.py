"""Joins many small byte strings into one array, and splits it again."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def join(parts: Sequence[bytes]) -> tuple[Bytes, Ints]:
    """Returns the joined parts and the end offset of each."""
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))


def cut(data: Bytes, ends: Ints) -> list[bytes]:
    """Returns the parts of `data`, split at the end offsets `ends`."""
    raw, places = data.tobytes(), ends.tolist()
    return [raw[start:end] for start, end in zip([0, *places], places, strict=False)]
