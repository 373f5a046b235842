"""What a run would read, as a property of windows, hold-outs and gaps."""

import pyarrow as pa
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from conf.settings import SplitSettings
from features.survey import check_survey, survey_inputs
from tests.features.fakes import FakeCatalog
from tests.features.world import AS_OF, ago, events, settings


@examples(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    window=st.one_of(
        st.integers(1, 12).map(lambda days: f"{days} days ago:today"),
        st.tuples(st.integers(2, 12), st.integers(1, 11))
        .filter(lambda ends: ends[0] > ends[1])
        .map(lambda ends: f"{ends[0]} days ago:{ends[1]} days ago"),
        st.integers(2, 12).map(lambda days: f"{ago(days)}:today"),
        st.integers(2, 12).map(lambda days: f"{ago(days)}:{ago(1)}"),
    ),
    holdout=st.integers(1, 14),
    gaps=st.sets(st.integers(1, 30)),
)
def test_train_before_the_cut_and_test_after_it(spark: SparkSession, window: str, holdout: int, gaps: set[int]) -> None:
    day = events(AS_OF, (1, 1, "like"))
    there = {ago(days): day for days in range(1, 31) if days not in gaps}
    wanted = settings(events={"clicks": {"path": "clicks", "window": window}}).model_copy(
        update={"split": SplitSettings(holdout_days=holdout)}
    )
    survey = survey_inputs(wanted, AS_OF, FakeCatalog(spark, {"clicks": there}))
    (entry,) = survey.events
    held_out = [day for day in entry.days if day >= survey.cut]
    assert all(day < survey.cut for day in entry.train_days)
    assert all(survey.cut <= day < AS_OF for day in held_out)
    assert entry.train is None or set(entry.train_days) == {*entry.train.days} & {*there}
    assert sorted(part.day for part in entry.partitions) == [part.day for part in entry.partitions]


def test_the_columns_that_each_partition_has_are_handed_on(spark: SparkSession) -> None:
    bare = pa.table({"source_id": [1]})
    full = bare.append_column("owner_id", pa.array([2])).append_column("extra", pa.array([3]))
    clicks = {ago(days): events(ago(days), (1, 1, "like")) for days in (1, 2, 3, 4)}
    catalog = FakeCatalog(spark, {"clicks": clicks, "sources": {AS_OF: full, ago(1): bare}})
    wanted = settings(sources={"path": "sources"})
    (sources,) = check_survey(survey_inputs(wanted, AS_OF, catalog), wanted, catalog).snapshots
    assert [field.name for field in sources.plan.fields] == ["source_id", "owner_id"]
    assert [field.name for field in sources.train.fields] == ["source_id"]
