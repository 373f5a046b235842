"""Lists of popular sources, for a control: as factors of one dimension, so that every rule of lists holds for them too.

A source's only factor is its number of users, a user's is 1: the score of each pair is the number of users.
"""

from pyspark.sql import functions as sf

from conf import contract
from jobs.run.context import Run, RunContext
from jobs.runtime.log import timed
from jobs.stages.stage import Facts
from models.registry.lineage import Decision


def popular_facts(run: Run) -> Facts:
    """Writes the factors. Returns the facts of the stage."""
    reason = "the control has popular sources"
    return {
        "training": popular_factors(run),
        "judged": {"skipped": f"{reason}, which every recipe is compared with"},
        "decision": Decision(winner="challenger", reason=reason).model_dump(),
        "shapes": {},
    }


def popular_factors(run: RunContext) -> Facts:
    """Writes the factors of sources and users with interactions. Returns what was made."""
    with timed("train", "popular sources") as notes:
        users = run.tables.read("interactions").select("user_id").distinct().orderBy("user_id")
        one = sf.array(sf.lit(1.0).cast("float")).alias("factors")
        known = run.tables.write("user_factors", users.select("user_id", one), contract.user_factors(run.ids))
        sources = run.tables.read("sources").where(sf.col("users") > 0).orderBy("source_id")
        popularity = sf.array(sf.col("users").cast("float")).alias("factors")
        ranked = sources.select("source_id", popularity)
        rows = run.tables.write("source_factors", ranked, contract.source_factors(run.ids))
        notes.append(f"{known:,} users, {rows:,} sources")
    return {"algorithm": "popular", "started": "cold", "users": known, "sources": rows}
