"""The lists of each push, a function of seed, push and user, so that every answer can be checked.

A push has a number, and its run id holds it. One odd user in eight has no list in a given push (and must get that
push's fallback list, no other), some lists are empty, and no two pushes share a list except empty ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conf.contract import snapshot
from conf.ids import bucket_of, partition_of
from publish.wire.announcement import Announcement
from publish.wire.encoding import encode_rows

PARTITIONS = 8
LIST_SIZE = 20
FALLBACK_SIZE = 40
_U64 = npt.NDArray[np.uint64]
_ID_BITS = np.uint64(2**34 - 1)  # ids of about six varint bytes


class Expected(NamedTuple):
    """What a reader must answer: `list` or `fallback`, source ids, scores."""

    kind: str
    source_ids: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class PushedLists:
    """The lists of every push of one hunt; a push is made for about `users` users."""

    seed: int
    users: int

    def run_of(self, number: int) -> str:
        """Returns the run id of a push."""
        return f"crash-{self.seed}-{number:06d}"

    def number_of(self, run: str) -> int:
        """Returns the number of the push with this run id."""
        return int(run.rpartition("-")[2])

    def population(self, number: int) -> int:
        """Returns the number of users of a push, within a tenth of `users`; they are 0 … population − 1."""
        spread = self.users - self.always
        return self.always + int(_mix(self._salt(number))[0] % np.uint64(2 * spread + 1))

    @property
    def always(self) -> int:
        """Even users below this one have a list in every push."""
        return self.users - self.users // 10

    def expected(self, number: int, users: Sequence[int]) -> list[Expected]:
        """Returns the correct answer for each user while the push serves."""
        has, lengths, ids = self._lists(number, np.asarray(users, np.uint64))
        has &= np.asarray(users) < self.population(number)
        fallback = Expected("fallback", tuple(self.fallback(number)[:LIST_SIZE]), ())
        return [
            Expected("list", tuple(row[:length].tolist()), tuple(self._scores(number, length))) if own else fallback
            for own, length, row in zip(has.tolist(), lengths.tolist(), ids, strict=True)
        ]

    def fallback(self, number: int) -> list[int]:
        """Returns the fallback list of a push."""
        start = int(self._salt(number)[0] % np.uint64(2**40))
        return list(range(start, start + FALLBACK_SIZE))

    def batches(self, number: int, buckets: int) -> list[pa.RecordBatch]:
        """Returns the snapshot of a push, a batch per partition, its rows sorted by bucket and user."""
        return list(_batches(self, number, buckets))

    def stored(self, run: Announcement) -> dict[tuple[int, int], dict[bytes, bytes]]:
        """Returns what must be in Redis: (partition, bucket) → user → payload, without empty buckets."""
        return _stored(self, self.number_of(run.run), run.buckets)

    def rows(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Returns the users with a list, the length of each list, and source ids, of which the first `length` count."""
        users = np.arange(self.population(number), dtype=np.uint64)
        has, lengths, ids = self._lists(number, users)
        return users[has].astype(np.int64), lengths[has], ids[has]

    def _lists(
        self, number: int, users: _U64
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        own = _mix(_mix(users) ^ self._salt(number))
        places = np.arange(LIST_SIZE, dtype=np.uint64)
        drawn = _mix(own[:, None] + places[None, :]) & _ID_BITS
        ids = drawn * np.uint64(LIST_SIZE) + places[None, :]  # the place makes the ids of a list distinct
        lengths = (own >> np.uint64(8)) % np.uint64(LIST_SIZE + 1)
        has = (own % np.uint64(8) != 0) | (users % np.uint64(2) == 0)
        return has, lengths.astype(np.int64), ids.astype(np.int64)

    def _salt(self, number: int) -> _U64:
        return _mix(np.array([self.seed * 1_000_003 + number], np.uint64))

    @staticmethod
    def _scores(number: int, length: int) -> list[float]:
        # Pushes with and without scores take turns.
        return [float(LIST_SIZE - place) for place in range(length)] if number % 2 else []


@lru_cache(maxsize=8)
def _batches(truth: PushedLists, number: int, buckets: int) -> tuple[pa.RecordBatch, ...]:
    users, lengths, ids = truth.rows(number)
    places: list[list[tuple[int, int, int]]] = [[] for _ in range(PARTITIONS)]
    for row, user in enumerate(users.tolist()):
        places[partition_of(user, PARTITIONS)].append((bucket_of(user, PARTITIONS, buckets), user, row))
    scored = np.arange(LIST_SIZE, 0, -1, dtype=np.float32)
    batches = []
    for partition, placed in enumerate(places):
        order = np.array([row for _, _, row in sorted(placed)], np.int64)
        taken = np.arange(LIST_SIZE)[None, :] < lengths[order, None]
        scores = taken if number % 2 else np.zeros_like(taken)
        columns: list[Any] = [
            pa.array(np.full(len(order), partition, np.int32)),
            pa.array(np.arange(len(order))),
            pa.array(users[order]),
            _lists(ids[order], taken),
            _lists(np.broadcast_to(scored, taken.shape), scores),
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=snapshot("int64")))
    return tuple(batches)


def _lists(values: npt.NDArray[Any], taken: npt.NDArray[np.bool_]) -> "pa.Array[Any]":
    offsets = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int32)
    flat: Any = pa.array(values[taken])
    return pa.ListArray.from_arrays(offsets.tolist(), flat)


@lru_cache(maxsize=4)
def _stored(truth: PushedLists, number: int, buckets: int) -> dict[tuple[int, int], dict[bytes, bytes]]:
    found: dict[tuple[int, int], dict[bytes, bytes]] = {}
    for partition, batch in enumerate(_batches(truth, number, buckets)):
        users: list[Any] = batch.column("user_id").to_pylist()
        for user, payload in zip(users, encode_rows(batch, "int64"), strict=True):
            place = (partition, bucket_of(user, PARTITIONS, buckets))
            found.setdefault(place, {})[str(user).encode()] = payload
    return found


def _mix(values: _U64) -> _U64:
    """Hashes with splitmix64: spreads neighbouring values over all 64 bits."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
