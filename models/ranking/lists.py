"""The best sources of each user so far, and how a candidate gets among them.

A source in a list is a 64-bit key: the score's bits, turned so that unsigned order is the order of the numbers, above
the complement of the source's row. One comparison of integers orders by score, ties by smaller row. 0 is an empty
place, below every real key.

A list has more than n places. Candidates are appended; a full list is cut back to its n best by quickselect, which
costs a few comparisons per candidate, less than a heap. `least` is a user's bar: a key that is not above it cannot be
among the n best, because n better ones are in the list.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ranking.compiled import compiled, inlined

Keys = NDArray[np.uint64]

_SPARE = 44
"""Places beyond n that even a short list has, so that it is rarely cut."""


class BestSoFar(NamedTuple):
    """Lists of users: keys uint64 (users, places), of which filled[u] are in use; bars `least` uint64 (users,)."""

    keys: Keys
    filled: NDArray[np.int64]
    least: Keys
    n: int

    @classmethod
    def empty(cls, users: int, n: int) -> "BestSoFar":
        """Returns empty lists for the n best sources, without bars."""
        keys = np.zeros((users, n + max(n, _SPARE)), np.uint64)
        return cls(keys, np.zeros(users, np.int64), np.zeros(users, np.uint64), n)

    def part(self, some: slice) -> "BestSoFar":
        """Returns the lists of some users; they share memory."""
        return BestSoFar(self.keys[some], self.filled[some], self.least[some], self.n)

    def clear(self) -> None:
        """Empties the lists; allocating new memory would cost more than using it."""
        for array in (self.keys, self.filled, self.least):
            array.fill(0)

    def write(self, users: NDArray[np.int64], ids: NDArray[np.int32], scores: NDArray[np.float32]) -> None:
        """Writes the n best, best first, into the rows `users` of ids and scores; missing ones stay unchanged."""
        self.keys.sort(axis=1)
        _write(self.keys, self.n, users, ids, scores)


@compiled
def key_of(score: np.float32, row: int) -> np.uint64:
    """Returns the sortable key of a finite score and a source row."""
    bits = np.uint64(np.float32(score + np.float32(0.0)).view(np.uint32))  # adding 0 makes −0 and 0 equal
    ordered = bits ^ np.uint64(0xFFFFFFFF) if bits >> np.uint64(31) else bits | np.uint64(0x80000000)
    return np.uint64((ordered << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - np.uint64(row)))


@compiled
def score_of(key: np.uint64) -> np.float32:
    """Returns the score in a key; −inf for an empty place."""
    if key == np.uint64(0):
        return np.float32(-np.inf)
    ordered = np.uint32(key >> np.uint64(32))
    bits = ordered ^ np.uint32(0x80000000) if ordered >> np.uint32(31) else ~ordered
    return np.uint32(bits).view(np.float32)


@compiled
def row_of(key: np.uint64) -> int:
    """Returns the source row in a key that is not 0."""
    return np.int64(np.uint64(0xFFFFFFFF) - (key & np.uint64(0xFFFFFFFF)))  # type: ignore[return-value]


@compiled
def _write(
    ascending: Keys, n: int, users: NDArray[np.int64], ids: NDArray[np.int32], scores: NDArray[np.float32]
) -> None:
    for user in range(len(users)):
        for place in range(n):
            key = ascending[user, ascending.shape[1] - 1 - place]
            if key == 0:
                break
            ids[users[user], place] = row_of(key)
            scores[users[user], place] = score_of(key)


@compiled
def _keep_best(keys: Keys, user: int, count: int, n: int) -> None:
    """Moves the n largest of a user's first `count` keys to the front, the n-th largest to position n − 1.

    Quickselect (Hoare 1961).
    """
    low, high, place = 0, count - 1, n - 1
    while low < high:
        pivot = keys[user, (low + high) // 2]
        i, j = low, high
        while i <= j:
            while keys[user, i] > pivot:
                i += 1
            while keys[user, j] < pivot:
                j -= 1
            if i <= j:
                keys[user, i], keys[user, j] = keys[user, j], keys[user, i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break


@compiled
def raise_bar(lists: BestSoFar, user: int) -> None:
    """Cuts the list of a user to the n best and sets the bar to the last of them, if it holds that many."""
    if lists.filled[user] >= lists.n:
        _keep_best(lists.keys, user, lists.filled[user], lists.n)
        for place in range(lists.n, lists.filled[user]):
            lists.keys[user, place] = np.uint64(0)
        lists.filled[user] = lists.n
        lists.least[user] = lists.keys[user, lists.n - 1]


@inlined
def offer(lists: BestSoFar, user: int, score: np.float32, row: int) -> None:
    """Puts a source into the list of a user if it is above the user's bar."""
    key = key_of(score, row)
    if key > lists.least[user]:
        place = lists.filled[user]
        lists.keys[user, place] = key
        lists.filled[user] = place + 1
        if place + 1 == lists.keys.shape[1]:
            raise_bar(lists, user)
