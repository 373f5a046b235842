"""The features of both parts of a study: made once by Spark, then read by every trial without it."""

from typing import TYPE_CHECKING

import pyarrow.dataset as ds

from conf import contract
from features.build import build_features
from jobs.runtime.log import log_step, timed
from jobs.storage.datasets import open_catalog
from jobs.storage.erased import without_rows_of
from jobs.storage.folders import folders_of
from jobs.tuning.errors import NotEnoughHistory
from jobs.tuning.parts import HOLDOUT, VALIDATION, part_days
from jobs.tuning.study import Study
from models.tuning import Part

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyspark.sql import DataFrame, SparkSession

_TABLES = ("interactions", "sources", "truth", "exclusions")
_PARTIALS = "partials"
"""Daily partials of the study itself: a run may be using those of the product."""


def make_features(study: Study) -> None:
    """Writes the tables of both parts unless an earlier start did."""
    parts = (VALIDATION, HOLDOUT)
    if all(study.folder.finished(_table(part, name)) for part in parts for name in _TABLES):
        log_step("tune", "the features were made by an earlier start")
        return
    with _session(study) as spark:
        for part in parts:
            _make(study, part, spark)
    study.folder.delete(_PARTIALS)


def check_history(study: Study) -> None:
    """Raises NotEnoughHistory before the first trial if either part is too small to judge by."""
    split = study.settings.split
    for part, day in part_days(study.settings, study.arguments.as_of).items():
        pairs = _rows(study, _table(part, "interactions")).count_rows()
        users = len(_rows(study, _table(part, "truth")).to_table(columns=["user_id"])["user_id"].unique())
        log_step(
            "tune", f"{part}: {pairs:,} interactions, judged by {users:,} users' {split.holdout_days} days before {day}"
        )
        if not pairs or users < split.min_users:
            raise NotEnoughHistory(
                f"not enough history to tune: {users:,} users have something new in the {split.holdout_days} days "
                f"before {day} (split.min_users asks for {split.min_users:,}), and there are {pairs:,} interactions "
                "before these; raise split.holdout_days, lengthen the windows, or wait for more data"
            )


def load_part(study: Study, part: str) -> Part:
    """Returns a part for the trials, without users who were erased since its features were made."""
    interactions, sources, truth, exclusions = (_rows(study, _table(part, name)) for name in _TABLES)
    return Part.of(
        interactions,
        exclusions.to_table(),
        sources.to_table(),
        truth.to_table(),
        lists=study.settings.lists,
        k=study.settings.judge.k,
        ids=study.settings.ids,
    )


def _make(study: Study, part: str, spark: "SparkSession") -> None:
    """Writes the tables as of the part's day; truth and exclusions are those of the judged users only."""
    from jobs.storage.tables import Tables

    settings, erased = study.settings, study.erased.users
    ids, tables = settings.ids, Tables(spark, study.folder, erased)
    catalog = open_catalog(settings, study.home, lambda: spark, study.folder.child(_PARTIALS), erased)
    with timed("tune", f"features of the {part} part"):
        features = build_features(settings, part_days(settings, study.arguments.as_of)[part], catalog)
        tables.write(_table(part, "interactions"), features.train_interactions, contract.interactions(ids))
        tables.write(_table(part, "sources"), features.train_sources, contract.train_sources(ids))
        truth = features.holdout.persist()
        judged = _drawn(truth, study.arguments.judged_users, settings.judge.seed)
        tables.write(_table(part, "truth"), truth.join(judged, "user_id", "left_semi"), contract.holdout(ids))
        users = tables.read(_table(part, "truth")).select("user_id").distinct()
        exclusions = features.train_exclusions.join(users, "user_id", "left_semi")
        tables.write(_table(part, "exclusions"), exclusions, contract.exclusions(ids))
        truth.unpersist()
        features.release()


def _drawn(truth: "DataFrame", most: int, seed: int) -> "DataFrame":
    """Returns at most `most` of its users (user_id), drawn by a hash, independent of the partitions."""
    from pyspark.sql import functions as sf

    users = truth.select("user_id").distinct()
    return users.orderBy(sf.xxhash64(sf.lit(seed), "user_id"), "user_id").limit(most)


def _rows(study: Study, table: str) -> ds.Dataset:
    rows = study.folder.table(table)
    if "user_id" not in rows.schema.names:
        return rows
    return without_rows_of(study.erased.users, rows, study.scratch / f"{table}.parquet")


def _table(part: str, name: str) -> str:
    return f"{part}_{name}"


def _session(study: Study) -> "AbstractContextManager[SparkSession]":
    """Returns a Spark session for a block: it ends when the features are made, since the trials need the memory."""
    from jobs.run.session import session_for

    folders = folders_of(study.home, study.settings).values()
    return session_for(f"{study.settings.product} tuning {study.record.name}", study.settings.spark, folders)
