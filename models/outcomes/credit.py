"""Which event counts for which answer: the rules of docs/outcomes.md, user by user, in the order of time.

An event belongs to the latest answer before it (`owner`), and is listed by the latest answer before it that held its
source (`holder`), each less than the horizon ago. At one instant, answers come before events.
"""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as sf

from conf.outcomes import OutcomeSettings
from models.outcomes.rows import ANSWER, ANSWERED, DAY_US, EVENT

_TIES = ("role", *ANSWER, "event", "amount")
"""What decides between rows of one instant, so that a rerun decides alike; rows that are equal in all are alike."""
_BEFORE, _NOW, _END = Window.unboundedPreceding, Window.currentRow, Window.unboundedFollowing
_IS_ANSWER, _IS_EVENT = f"role = '{ANSWERED}' AND NOT robot", f"role = '{EVENT}' AND NOT robot"


def credited(rows: DataFrame, days: Collection[int], settings: OutcomeSettings) -> DataFrame:
    """Returns the rows (`rows.together`) about answers of these days, with what counts for what; partitioned by user.

    Of an event: `owner` and `holder`, null without one; `hit`: the first engaging event of (day of the holder, user,
    source); `hit_of_event`: the first of its name; `new`: engaging, and the first one of user and source in `new_days`.
    Answers are as they were. `robot`: the user is one on that day, and the row counts for nothing.
    """
    horizon, by_name = settings.horizon_days * DAY_US, _window("source_id", "event").orderBy("at", "amount")
    placed = _with_holders(_with_owners(_with_robots(rows, settings)))
    is_asked = [sf.col(name).isin(*sorted(days)) for name in ("owner.day", "holder.day", "day")]
    concerned = placed.where(is_asked[0] | is_asked[1] | (sf.col("robot") & is_asked[2]))
    found = concerned.withColumn("same_before", sf.lag("holder.day").over(by_name))
    recent = {
        name: sf.when(sf.col("at") - sf.col(f"{name}.at") < horizon, sf.col(name)) for name in ("owner", "holder")
    }
    is_listed, day = sf.col("holder").isNotNull(), sf.col("holder.day")
    is_new = sf.col("before").isNull() | (sf.col("at") - sf.col("before") >= settings.new_days * DAY_US)
    return (
        found.withColumns(recent)
        .withColumns(
            {
                # an earlier event whose holder is of the same day was less than the horizon after it, too
                "hit": is_listed & sf.col("engages") & ~day.eqNullSafe(sf.col("day_before")),
                "hit_of_event": is_listed & ~day.eqNullSafe(sf.col("same_before")),
                "new": sf.col("engages") & is_new,
            }
        )
        .drop("day_before", "same_before", "before")
    )


def _with_robots(rows: DataFrame, settings: OutcomeSettings) -> DataFrame:
    most = settings.robots.max_events_per_day
    if most is None:
        return rows.withColumn("robot", sf.lit(col=False))
    whole_day = _window("day").orderBy("at", *_TIES).rowsBetween(_BEFORE, _END)  # sorted as `_with_owners` wants it
    return rows.withColumn("robot", sf.count_if(sf.col("role") == EVENT).over(whole_day) > most)


def _with_owners(rows: DataFrame) -> DataFrame:
    """Returns the rows with `owner`, and `places`: an event's source; an answer itself, and its sources that matter.

    Those are the ones of which the user has events: all others, most of all places, decide nothing.
    """
    in_time = _window().orderBy("day", "at", *_TIES)
    touched = sf.collect_set(sf.expr(f"CASE WHEN {_IS_EVENT} THEN source_id END"))
    owned = rows.withColumns(
        {
            "owner": _latest(_IS_ANSWER, sf.struct("at", "day", *ANSWER)).over(in_time.rowsBetween(_BEFORE, _NOW)),
            "touched": touched.over(in_time.rowsBetween(_BEFORE, _END)),
        }
    )
    its_own = f"array(struct(CASE WHEN {_IS_EVENT} THEN source_id END AS id, CAST(NULL AS INT) AS position))"
    position = "CAST(array_position(source_ids, s) - 1 + first AS INT)"
    held = f"transform(array_intersect(source_ids, touched), s -> struct(s AS id, {position} AS position))"
    places = sf.expr(f"CASE WHEN {_IS_ANSWER} THEN concat({its_own}, {held}) ELSE {its_own} END")
    return owned.withColumn("place", sf.explode(places)).drop("touched")


def _with_holders(placed: DataFrame) -> DataFrame:
    """Returns answers and events with `holder`, and time and holder's day of the engaging event before (`before`)."""
    rows = placed.withColumns({"source_id": sf.col("place.id"), "position": sf.col("place.position")}).drop("place")
    is_place = f"{_IS_ANSWER} AND source_id IS NOT NULL"
    narrow = rows.withColumn("source_ids", sf.expr(f"CASE WHEN NOT ({is_place}) THEN source_ids END"))
    in_time = _window("source_id").orderBy("at", *_TIES, "position")
    earlier, engaged = in_time.rowsBetween(_BEFORE, -1), f"{_IS_EVENT} AND engages"
    holder = _latest(is_place, sf.struct("at", "day", *ANSWER, "position"))
    held = narrow.withColumns(
        {
            "holder": holder.over(in_time.rowsBetween(_BEFORE, _NOW)),
            "before": _latest(engaged, sf.col("at")).over(earlier),
        }
    )
    found = held.withColumn("day_before", _latest(engaged, sf.col("holder.day")).over(earlier))
    return found.where(f"NOT ({is_place})").drop("position")


def _window(*columns: str) -> WindowSpec:
    return Window.partitionBy("user_id", "basis", *columns)


def _latest(condition: str, value: Column) -> Column:
    return sf.last(sf.when(sf.expr(condition), value), ignorenulls=True)
