"""Embeddings → a list for every user of the share, and the fallback list; then gate 2 judges the lists.

spark-submit jobs/precompute_topn.py --config conf/prod_discovery.yml --as-of 2026-11-16 --run-id ID
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys

from jobs.run.enter import Run, enter


def make(run: Run) -> None:
    """Makes the stage, unless an earlier attempt finished it."""
    from jobs.stages.lists import precompute_topn  # here: see jobs.run.enter

    precompute_topn(run)


if __name__ == "__main__":
    sys.exit(enter(make))
