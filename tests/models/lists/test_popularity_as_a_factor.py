"""Popular sources as factors of one dimension (a control's lists): the order, and the rules, are exact."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import random_array

from conf.settings import ListSettings
from models.arrays.ids import IdMap
from models.lists.candidates import Candidates
from models.lists.caps import best_lists
from models.ranking import SourceIndex

SOURCES, USERS, N = 5_000, 64, 50


@pytest.mark.parametrize("cap", [None, 3])
def test_the_most_popular_come_first(cap: int | None) -> None:
    rng = np.random.default_rng(7)
    popularity = np.minimum(rng.zipf(1.3, SOURCES), 2**24).astype(np.float32)  # many ties, and a long tail
    categories = rng.integers(0, 40, SOURCES).astype(np.int32)
    candidates = Candidates(
        IdMap.of(pa.array(np.arange(SOURCES)), "int64"),
        SourceIndex.build(popularity[:, None]),
        categories,
        np.full(SOURCES, -1, np.int32),
    )
    excluded = random_array((USERS, SOURCES), density=0.05, format="csr", dtype=np.int8, rng=rng)
    excluded.data[:] = 1
    found = best_lists(candidates, np.ones((USERS, 1), np.float32), excluded, ListSettings(n=N, max_per_category=cap))
    for user in range(USERS):
        wanted, taken = [], dict[int, int]()
        barred = {*excluded[[user]].indices.tolist()}
        for source in np.lexsort((np.arange(SOURCES), -popularity)).tolist():
            if source in barred or (cap is not None and taken.get(int(categories[source]), 0) == cap):
                continue
            taken[int(categories[source])] = taken.get(int(categories[source]), 0) + 1
            wanted.append(source)
        scores = popularity[found.ids[user]]
        assert scores.tolist() == popularity[wanted[:N]].tolist() == found.scores[user].tolist()
        assert not barred & {*found.ids[user].tolist()}
