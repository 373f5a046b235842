"""Users in native Spark columns: `conf.contract`'s arm, partition and bucket, and how many they are."""

from pyspark.sql import Column
from pyspark.sql import functions as sf

_ERROR = 0.02
"""Standard error of the number of users, relative; it costs 2 kB a group, where exact sets would be shuffled."""


def count_users() -> Column:
    """Returns the number of distinct users that are not null, within 2 % (HyperLogLog++): the same for the same
    users.
    """
    return sf.approx_count_distinct("user_id", _ERROR)


def arm_column(user_id: Column, salt: str) -> Column:
    """`contract.arm_of` per row: int64, 0 … 9,999."""
    digest = sf.sha2(sf.concat(sf.lit(f"{salt}|"), user_id.cast("string")), 256)
    return sf.conv(sf.substring(digest, 1, 8), 16, 10).cast("bigint") % 10_000


def partition_column(user_id: Column, partitions: int) -> Column:
    """`contract.partition_of` per row: int32, 0 … partitions − 1."""
    return (_crc32(user_id) % partitions).cast("int")


def bucket_column(user_id: Column, partitions: int, buckets: int) -> Column:
    """`contract.bucket_of` per row: int64, 0 … buckets − 1."""
    crc = _crc32(user_id)
    return ((crc - crc % partitions) / partitions).cast("bigint") % buckets


def _crc32(user_id: Column) -> Column:
    return sf.crc32(user_id.cast("string").cast("binary"))
