"""Interactions → embeddings: the recipe is judged on the hold-out, then refit on everything and registered.

    spark-submit jobs/train_embeddings.py --config conf/prod_discovery.yml --as-of 2026-11-16 --run-id ID

Training reads Parquet itself; Spark ranks and judges the lists of the recipe.
"""

import json
import sys
from typing import cast

from conf import contract
from jobs.entry import enter
from jobs.erased import without_rows_of
from jobs.judging import check_judgeable, judge_recipe
from jobs.lineage import register_factors
from jobs.log import tell, timed
from jobs.run import Run
from jobs.stage import Facts, stage
from models.errors import EmptyCatalogue, NothingToJudge
from models.train import train


@stage("train")
def train_embeddings(run: Run) -> Facts:
    """Writes the factors of the judged recipe and of the refit, judges the first and registers the second."""
    judged = _judge(run)
    stats = _fit(run, "")
    facts = {"training": stats, "judged": judged}
    return {**facts, "model": register_factors(run, facts)}


def _fit(run: Run, which: str) -> Facts:
    """Trains on `<which>interactions` unless a former attempt did, and gives what is known of the training."""
    tables, stats = [f"{which}user_factors", f"{which}source_factors"], f"{which}training.json"
    if all(run.folder.finished(table) for table in tables):
        return cast(Facts, json.loads(run.folder.read_bytes(stats)))
    for table in tables:  # both or neither: they must be of one training
        run.folder.delete(table)
    with timed("train", f"{which or 'refit '}factors".replace("_", " ")) as notes:
        interactions = run.folder.table(f"{which}interactions")
        interactions = without_rows_of(run.erased.users, interactions, run.scratch / f"{which}interactions.parquet")
        embeddings = train(interactions, run.settings.train, run.ids)
        facts = dict(embeddings.stats.to_json())
        run.folder.write_bytes(stats, json.dumps(facts).encode())
        run.folder.write_table(tables[0], embeddings.user_batches(), contract.user_factors(run.ids))
        run.folder.write_table(tables[1], embeddings.source_batches(), contract.source_factors(run.ids))
        notes.append("{interactions:,} interactions, {users:,} users, {sources:,} sources".format(**facts))
    return facts


def _judge(run: Run) -> Facts:
    """How good lists by this recipe are for users with something new in the hold-out; says why when it cannot tell."""
    try:
        check_judgeable(run)
        _fit(run, "train_")
        return judge_recipe(run).flat()
    except (EmptyCatalogue, NothingToJudge) as error:
        tell("train", f"not judged: {error}")
        return {"skipped": str(error)}


if __name__ == "__main__":
    sys.exit(enter(train_embeddings))
