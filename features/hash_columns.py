"""`conf.ids`' arm, partition and bucket of a user as Spark columns, the number of users, and hashes for samples."""

from pyspark.sql import Column
from pyspark.sql import functions as sf

_ERROR = 0.02
"""Relative standard error of the number of users; it costs 2 kB per group, exact sets would be shuffled."""
MAX_HASH = 2**63 - 1


def count_users() -> Column:
    """Returns the number of distinct non-null users, within 2 % (HyperLogLog++), always the same for equal users."""
    return sf.approx_count_distinct("user_id", _ERROR)


def hash_column(*columns: Column) -> Column:
    """Returns a hash of the columns, 0 … MAX_HASH, which has nothing to do with the arm."""
    return sf.xxhash64(*columns).bitwiseAND(sf.lit(MAX_HASH))


def hash_limit(share: float) -> int:
    """Returns the largest hash in this share of all; the sample of a smaller share is part of that of a larger one."""
    return min(int(share * 2**63), MAX_HASH)


def arm_column(user_id: Column, salt: str) -> Column:
    """Returns `ids.arm_of` per row: int64, 0 … 9,999."""
    digest = sf.sha2(sf.concat(sf.lit(f"{salt}|"), user_id.cast("string")), 256)
    return sf.conv(sf.substring(digest, 1, 8), 16, 10).cast("bigint") % 10_000


def partition_column(user_id: Column, partitions: int) -> Column:
    """Returns `ids.partition_of` per row: int32, 0 … partitions − 1."""
    return (_crc32(user_id) % partitions).cast("int")


def bucket_column(user_id: Column, partitions: int, buckets: int) -> Column:
    """Returns `ids.bucket_of` per row: int64, 0 … buckets − 1."""
    crc = _crc32(user_id)
    return ((crc - crc % partitions) / partitions).cast("bigint") % buckets


def _crc32(user_id: Column) -> Column:
    return sf.crc32(user_id.cast("string").cast("binary"))
