"""Makes data like the golden set, which was made once: `python -m models.golden.planted FILE`.

Sources have one of twelve tastes and a popularity that falls as 1 / rank; users like one to three tastes and have six
to a hundred interactions, about a fifth of which is held out. Only uniform numbers are drawn, because numpy promises
that these stay the same. Nobody promises the bytes of a Parquet file, so the file is kept in the package.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

USERS, SOURCES, TASTES = 1_500, 400, 12

_ID: pa.DataType = pa.int64()
SCHEMA = pa.schema(
    [
        ("user_id", _ID),
        ("source_id", _ID),
        ("weight", pa.float64()),
        ("held_out", pa.bool_()),  # truth, not trained on
    ]
)
"""One row per (user, source), sorted by both."""


def plant(seed: int = 7) -> pa.Table:
    """Returns the rows of SCHEMA, about 30,000."""
    draw = np.random.default_rng(seed)
    likes = _likes(draw)
    interactions = np.minimum((6 / draw.random(USERS) ** 0.8).astype(np.int64), 120)  # many light users, few heavy ones
    luck = -np.log(-np.log(draw.random((USERS, SOURCES))))  # the best of log p + Gumbel are a sample by p
    places = np.argsort(np.argsort(-(np.log(likes) + luck), axis=1), axis=1)
    users, sources = np.nonzero(places < interactions[:, None])
    fits = np.sqrt(likes[users, sources] / likes[users].max(axis=1))
    weights = 1 + np.floor(12 * draw.random(len(users)) * fits) / 2
    columns = [1_000 + users, 1 + sources, weights, draw.random(len(users)) < 0.2]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=SCHEMA)


def _likes(draw: np.random.Generator) -> NDArray[np.float64]:
    """Returns how likely each user (row) is to engage with each source (column), up to a factor per user."""
    popularity = 1 / (1 + np.argsort(np.argsort(draw.random(SOURCES)))) ** 0.7
    taste = np.floor(TASTES * draw.random(SOURCES)).astype(np.int64)
    liked = draw.random((USERS, TASTES))
    liked = np.where(np.argsort(np.argsort(-liked, axis=1), axis=1) < 1 + (3 * draw.random((USERS, 1))), liked, 0.02)
    return popularity * liked[:, taste]


if __name__ == "__main__":
    pq.write_table(plant(), Path(sys.argv[1]), compression="zstd", compression_level=19)
