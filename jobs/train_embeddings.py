"""Interactions → embeddings: recipes are judged on the hold-out, the winner is refit on everything and registered.

    spark-submit jobs/train_embeddings.py --config conf/prod_discovery.yml --as-of 2026-11-16 --run-id ID

Training reads Parquet itself; Spark ranks and judges the lists of the recipes.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys

from jobs.run.enter import Run, enter


def make(run: Run) -> None:
    """Makes the stage, unless an earlier attempt finished it."""
    from jobs.stages.training.train import train_embeddings  # here: see jobs.run.enter

    train_embeddings(run)


if __name__ == "__main__":
    sys.exit(enter(make))
