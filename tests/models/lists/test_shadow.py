"""Who is in the sample of users with shadow lists."""

import pytest
from pyspark.sql import SparkSession

from conf.ids import arm_of
from conf.shadow import ShadowSample
from conf.share import EVERYBODY, NOBODY, Share
from models.lists.shadow import is_sampled

USERS = 20_000


def sampled(spark: SparkSession, covered: int, share: int) -> set[int]:
    sample = ShadowSample(covered_bp=Share(covered), salt="discovery-1", share_bp=Share(share))
    users = spark.range(USERS).withColumnRenamed("id", "user_id")
    found = {row.user_id for row in users.where(is_sampled(sample, users["user_id"])).collect()}
    assert found == {user for user in range(USERS) if sample.holds(user)}
    return found


def test_it_is_a_share_of_those_whom_the_run_does_not_serve_and_stays_as_the_share_grows(spark: SparkSession) -> None:
    served = {share: {user for user in range(USERS) if arm_of(user, "discovery-1") < share} for share in (2_500, 6_000)}
    few, fewer = sampled(spark, 2_500, 2_000), sampled(spark, 6_000, 2_000)
    assert few.isdisjoint(served[2_500])
    assert len(few) == pytest.approx(0.2 * 0.75 * USERS, rel=0.06)
    assert fewer == few - served[6_000]
    assert len(fewer) == pytest.approx(0.2 * 0.4 * USERS, rel=0.08)  # independent of the arm
    assert few < sampled(spark, 2_500, 4_000)
    assert sampled(spark, 2_500, 10_000) == {*range(USERS)} - served[2_500]


@pytest.mark.parametrize(("covered", "share"), [(EVERYBODY, Share(500)), (Share(2_500), NOBODY)])
def test_nobody_is_in_it(covered: Share, share: Share) -> None:
    assert ShadowSample.of(covered, "salt", share) is None
