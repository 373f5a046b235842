"""Means over users with bootstrap intervals, without collecting users and independent of the partitions.

Poisson bootstrap (Chamandy, Muralidharan, Najmi, Naidu 2012): in each replicate a user counts Poisson(1) times, drawn
from a hash of the seed, the user and the replicate. Sums are of fixed-point integers, so that they do not depend on the
order of addition.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, factorial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from models.arrays.arrow import column_of, numpy_of

Sums = NDArray[np.int64]

ALL = "all"
"""The segment of all users."""

CONFIDENCE = 0.95

_ONE = 2.0**28
"""Fixed-point unit: sums of a batch are exact in float64, sums of half a billion users of up to 64 each in int64."""

_PARTIAL_DDL = "segment string, cell int, amount bigint, users bigint"


@dataclass(frozen=True)
class Estimate:
    """The mean over some users, and the ends of its 95 % percentile interval (Efron 1979)."""

    users: int
    mean: float
    low: float
    high: float


def bootstrap_means(
    rows: DataFrame, values: Sequence[Column], *, replicates: int, seed: int
) -> Mapping[str, list[Estimate | None]]:
    """Returns, for each segment and ALL, the means of `values` where they are not null; None where all are null.

    rows: one per user, with user_id and segment; values: doubles from −64 to 64. A difference of two columns is a
    paired one, since both count equally often in every replicate.
    """
    named = [value.cast("double").alias(f"v{at}") for at, value in enumerate(values)]
    keyed = rows.select(sf.xxhash64(sf.lit(seed), "user_id").alias("key"), "segment", *named)
    cells = keyed.mapInArrow(_PartialSums(len(values), replicates), _PARTIAL_DDL).groupBy("segment", "cell")
    found = cells.agg(sf.sum("amount").alias("amount"), sf.sum("users").alias("users")).toArrow()
    sums: dict[str, Sums] = {}
    for segment in map(str, pc.unique(found["segment"]).to_pylist()):
        part = found.filter(pc.field("segment") == segment)
        sums[segment] = np.zeros((2, (replicates + 1) * len(values)), np.int64)
        sums[segment][:, numpy_of(part["cell"])] = numpy_of(part["amount"]), numpy_of(part["users"])
    if sums:
        sums[ALL] = np.sum(list(sums.values()), axis=0)
    return {segment: _estimates(*both.reshape(2, -1, len(values))) for segment, both in sums.items()}


def poisson_weights(keys: NDArray[np.int64], replicates: int) -> NDArray[np.uint8]:
    """Returns how often each key counts in each replicate, uint8 (keys, replicates).

    Four draws of 16 bits from each state of SplitMix64 (Steele, Lea, Flood 2014) started at the key.
    """
    steps = np.arange(1, -(-replicates // 4) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = np.ascontiguousarray(keys).view(np.uint64)[:, None] + steps
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state ^= state >> np.uint64(31)
    weights: NDArray[np.uint8] = _POISSON[state.astype("<u8").view("<u2")][:, :replicates]
    return weights


def _poisson_table() -> NDArray[np.uint8]:
    """Returns the Poisson(1) count of each 16-bit number: the inverse of its distribution function."""
    cumulative = np.cumsum([exp(-1) / factorial(count) for count in range(12)])
    return np.searchsorted(cumulative, (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)


_POISSON = _poisson_table()


@dataclass(frozen=True)
class _PartialSums:
    """Maps (key, segment, values) to a row per segment and cell of (replicates + 1, values) of a partition.

    Replicate 0 counts every user once: it is the sample itself.
    """

    values: int
    replicates: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums: dict[str, Sums] = {}
        for batch in batches:
            drawn = poisson_weights(numpy_of(batch["key"]), self.replicates)
            weights = np.concatenate([np.ones((len(drawn), 1)), drawn], axis=1)
            values = np.stack([batch[f"v{at}"].to_numpy(zero_copy_only=False) for at in range(self.values)], axis=1)
            both = np.concatenate([np.nan_to_num(np.rint(values * _ONE)), ~np.isnan(values)], axis=1)
            segments = batch["segment"].dictionary_encode()
            for code, segment in enumerate(map(str, segments.dictionary.to_pylist())):
                chosen = numpy_of(segments.indices) == code
                sums[segment] = sums.get(segment, 0) + (weights[chosen].T @ both[chosen]).astype(np.int64)
        for segment, both in sums.items():
            amounts, users = (column_of(half.ravel()) for half in np.split(both, 2, axis=1))
            cells = column_of(np.arange(len(amounts), dtype=np.int32))
            yield pa.RecordBatch.from_arrays(
                [pa.array([segment] * len(cells)), cells, amounts, users], names=["segment", "cell", "amount", "users"]
            )


def _estimates(amounts: Sums, users: Sums) -> list[Estimate | None]:
    """Returns one estimate per value, from amounts and users (replicates + 1, values)."""
    return [_estimate(amount, count) if count[0] else None for amount, count in zip(amounts.T, users.T, strict=True)]


def _estimate(amounts: Sums, users: Sums) -> Estimate:
    drawn = users > 0  # a replicate of very few users may have drawn none
    mean, *replicated = amounts[drawn] / users[drawn] / _ONE
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(replicated or [mean], [tail, 100 - tail])
    return Estimate(int(users[0]), float(mean), float(low), float(high))
