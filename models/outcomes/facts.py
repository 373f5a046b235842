"""Facts: a row per thing that counts, with the answer that it is about: an answer, a place in it, an event, a hit."""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from models.outcomes.rows import ANSWERED, DAY_US, EVENT

PLACE, HIT, HIT_OF_EVENT, ROBOT = "place", "hit", "hit_of_event", "robot"
"""What a fact is, besides ANSWERED and EVENT (about its owner); ROBOT: an answer or an event that is left out."""
DELAY_MS = 2**31
"""More than the milliseconds of horizon and a day: one integer sorts by time and has the delay as its remainder."""
_NUMBERS = ("answers", "places", "events", "first_hit")


def facts_of(counted: DataFrame, days: Collection[int]) -> DataFrame:
    """Returns the facts of answers on these days, by rows of `credit.credited`; still partitioned by user.

    Columns: user_id, basis, what; day, run, arm, surface of the answer; source_id, position, event, engages, amount,
    listed, new; answers, places, events: how many it is; first_hit: of a hit, its time and delay as one integer.
    """
    of_event = sf.array_compact(sf.array(_event(), _hit(HIT), _hit(HIT_OF_EVENT)))
    facts = (
        sf.when(sf.col("robot"), sf.array(_robot()))
        .when(sf.col("role") == ANSWERED, sf.concat(sf.array(_answer()), _places()))
        .otherwise(of_event)
    )
    listed = sf.col("holder").isNotNull().alias("listed")
    rows = counted.select(
        "user_id", "basis", "event", "engages", "amount", "new", listed, sf.explode(facts).alias("fact")
    )
    return rows.where(sf.col("fact.day").isin(*sorted(days))).select("*", "fact.*").drop("fact")


def _answer() -> Column:
    return _fact(ANSWERED, answers=sf.lit(1), places=sf.size("source_ids"))


def _places() -> Column:
    """Returns a fact per place of an answer."""
    return sf.transform(
        "source_ids",
        lambda source, index: _fact(PLACE, source=source, position=sf.col("first") + index, places=sf.lit(1)),
    )


def _robot() -> Column:
    was_answered = sf.col("source_ids").isNotNull()
    return _fact(ROBOT, about=None, answers=was_answered, events=~was_answered)


def _event() -> Column:
    """Returns the fact of an event about its owner; null without one."""
    return sf.when(sf.col("owner").isNotNull(), _fact(EVENT, about="owner.", events=sf.lit(1)))


def _hit(what: str) -> Column:
    """Returns the fact of a hit about the holder; null if it is none."""
    start_of_day = sf.col("holder.day").cast("bigint") * DAY_US
    since, delay = (sf.floor((sf.col("at") - start) / 1000) for start in (start_of_day, sf.col("holder.at")))
    hit = _fact(what, about="holder.", position=sf.col("holder.position"), first_hit=since * DELAY_MS + delay)
    return sf.when(sf.col(what), hit)


def _fact(
    what: str,
    *,
    about: str | None = "",
    source: Column | None = None,
    position: Column | None = None,
    **numbers: Column,
) -> Column:
    """Returns a fact about the row itself, the struct of it before the dot in `about`, or (None) no answer."""
    nothing = sf.lit(None)
    answer = [nothing if about is None else sf.col(f"{about}{name}") for name in ("run", "arm", "surface")]
    return sf.struct(
        sf.lit(what).alias("what"),
        sf.col(f"{about or ''}day").alias("day"),
        *(value.cast("string").alias(name) for name, value in zip(("run", "arm", "surface"), answer, strict=True)),
        (sf.col("source_id") if source is None else source).alias("source_id"),
        (nothing if position is None else position).cast("int").alias("position"),
        *(numbers.get(name, sf.lit(0)).cast("bigint").alias(name) for name in _NUMBERS),
    )
