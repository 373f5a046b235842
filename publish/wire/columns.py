"""Many small values as one array of bytes, and back."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def join(parts: Sequence[bytes]) -> tuple[Bytes, Ints]:
    """Returns the parts back to back, and where each ends."""
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))


def cut(data: Bytes, ends: Ints) -> list[bytes]:
    """Returns the parts that end there."""
    raw, places = data.tobytes(), ends.tolist()
    return [raw[start:end] for start, end in zip([0, *places], places, strict=False)]
