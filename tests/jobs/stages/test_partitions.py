"""The snapshot of a run: the same rows are written, measured and sent, in one shuffle, by whichever attempt."""

from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf

from conf import contract
from jobs.stages.partitions import in_few_tasks, measure_slices, snapshot_of
from jobs.storage.erased import Erased
from tests.jobs.runs import finish, run_in
from tests.publish.support.samples import Lists, batches_of, layout_for, slices_of

PARTITIONS = 8  # by a hash, Spark would put these into five tasks
OWN_TASKS = {(partition, partition) for partition in range(PARTITIONS)}
LISTS: Lists = {user: [100 + user % 7, *range(user % 5)] for user in range(-3, 40)}


def test_what_is_written_is_what_is_measured_and_a_later_attempt_takes_what_was_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    run, _ = run_in(tmp_path)
    layout, whole = layout_for(LISTS, PARTITIONS), pa.Table.from_batches(batches_of(LISTS, PARTITIONS))
    lists = whole.sort_by("user_id").append_column("personal", pa.array([True] * len(LISTS)))
    run.begin_stage("topn")
    schema = contract.lists("int64")
    run.folder.write_table("lists", lists.select(schema.names).cast(schema).to_batches(), schema)
    finish(run, "topn")
    for erased in (set[int](), {5, 6}):  # the second attempt knows of users who were erased meanwhile
        run.begin_stage("publish")
        run._erased = Erased(frozenset(erased))
        snapshot = snapshot_of(run, layout)
        assert snapshot._jdf.queryExecution().executedPlan().toString().count("Exchange ") == 1
        assert run.tables.write("snapshot", snapshot, contract.snapshot("int64")) == len(LISTS)
        assert {
            (row[0], row[1]) for row in snapshot.select("partition", sf.spark_partition_id()).collect()
        } == OWN_TASKS
        assert measure_slices(snapshot, layout, "int64") == [*slices_of(LISTS, PARTITIONS)]
        tasks = in_few_tasks(snapshot, len(LISTS))
        assert tasks.rdd.getNumPartitions() == 1
        assert measure_slices(tasks, layout, "int64") == [*slices_of(LISTS, PARTITIONS)]
        snapshot.unpersist()
    written = run.folder.table("snapshot").to_table().sort_by([("partition", "ascending"), ("seq", "ascending")])
    assert written.to_pylist() == whole.to_pylist()
