"""What measuring outcomes costs beside reading its input once: both in one Spark session, in turns.

    python -m benchmarks.outcomes [--events 24000000] [--answers 1000000] [--rounds 3] [--json]

Events of 36 days and answers of 50 sources on the last 8, on disk as Parquet; one day and those after it are measured.
The yardstick reads every column of both and hashes it. Prints the seconds of both and their ratio.
"""

import argparse
import datetime as dt
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from benchmarks.arguments import positive
from conf.outcomes import OutcomeSettings
from models.outcomes.basis import Basis
from models.outcomes.buckets import buckets_for
from models.outcomes.marginals import outcomes_of
from models.outcomes.rows import answers_of, events_of

_FIRST = dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp()
_DAYS, _ANSWERED, _LISTED, _SOURCES = 36, 8, 50, 100_000
_NAMES = ("click", "like", "join", "watch")


def write_world(spark: SparkSession, folder: Path, events: int, answers: int) -> None:
    """Writes events and exposures of as many users as there are answers a day; popular sources are picked more."""
    users = max(1, answers // _ANSWERED)
    source = sf.floor(sf.pow(sf.rand(1), 3) * _SOURCES).alias("source_id")
    name = sf.element_at(sf.array(*map(sf.lit, _NAMES)), 1 + sf.pmod(sf.hash("id"), sf.lit(len(_NAMES))))
    spark.range(events).select(
        sf.pmod(sf.xxhash64("id"), sf.lit(users)).alias("user_id"),
        source,
        name.alias("event"),
        sf.timestamp_seconds(_FIRST + sf.rand(2) * _DAYS * 86_400).alias("ts"),
        sf.round(sf.rand(3) * 60, 1).alias("amount"),
    ).write.parquet(f"{folder}/events")
    start = _FIRST + (_DAYS - _ANSWERED) * 86_400
    spark.range(answers).select(
        (sf.col("id") % users).alias("user_id"),
        sf.timestamp_seconds(start + sf.rand(4) * _ANSWERED * 86_400).alias("ts"),
        sf.lit("feed").alias("surface"),
        sf.when(sf.col("id") % 2 == 0, "treatment").otherwise("control").alias("arm"),
        sf.concat(sf.lit("run-"), sf.col("id") % 2).alias("run"),
        sf.transform(
            sf.sequence(sf.lit(1), sf.lit(_LISTED)), lambda place: sf.pmod(sf.xxhash64("id", place), sf.lit(_SOURCES))
        ).alias("source_ids"),
    ).write.parquet(f"{folder}/answers")


def scan(frames: list[DataFrame]) -> None:
    """Reads every column of every row."""
    for frame in frames:
        frame.agg(sf.sum(sf.xxhash64(*frame.columns) % 1000)).collect()


def seconds_of(work: Callable[[], object]) -> float:
    """Returns how long it takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main() -> None:
    """Runs the rounds and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("events", 24_000_000), ("answers", 1_000_000), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=positive, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "16")
    spark = builder.config("spark.driver.memory", "2g").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        write_world(spark, Path(folder), asked.events, asked.answers)
        events, answers = (spark.read.parquet(f"{folder}/{name}") for name in ("events", "answers"))
        known = spark.range(_SOURCES).select(sf.col("id").alias("source_id"), (sf.col("id") % 50).alias("category"))
        day = dt.datetime.fromtimestamp(_FIRST, dt.UTC).date() + dt.timedelta(days=_DAYS - _ANSWERED)

        def measure() -> None:
            done = events_of(events, _NAMES[:3])
            buckets = buckets_for(asked.events, asked.answers)
            rows, settings = (answers_of(answers), done), OutcomeSettings()
            found = outcomes_of(*rows, [Basis.ANSWERED], [day], settings, known, buckets=buckets)
            assert found.collect()

        rounds = [(seconds_of(lambda: scan([events, answers])), seconds_of(measure)) for _ in range(asked.rounds)]
    once, whole = (statistics.median(some) for some in zip(*rounds, strict=True))
    found = {"events": asked.events, "answers": asked.answers, "scan": once, "measure": whole, "ratio": whole / once}
    sys.stdout.write(json.dumps(found) + "\n" if asked.json else f"one scan {once:.1f} s, measured {whole:.1f} s: ")
    if not asked.json:
        sys.stdout.write(f"{whole / once:.2f} scans\n")


if __name__ == "__main__":
    main()
