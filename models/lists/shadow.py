"""Which users get shadow lists, as a Spark expression."""

from pyspark.sql import Column

from conf.shadow import ShadowSample
from features.hash_columns import arm_column


def is_sampled(sample: ShadowSample, user_id: Column) -> Column:
    """Returns `sample.holds` per row."""
    is_few = arm_column(user_id, sample.own_salt) < int(sample.share_bp)  # spares most users the second hash
    return is_few & (arm_column(user_id, sample.salt) >= int(sample.covered_bp))
