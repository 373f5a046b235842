"""Datasets → interactions, exclusions, sources and the hold-out; gate 1 judges what comes in, then the interactions.

spark-submit jobs/build_features.py --config conf/prod_discovery.yml --as-of 2026-11-16
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys

from jobs.run.enter import Run, enter


def make(run: Run) -> None:
    """Makes the stage, unless an earlier attempt finished it."""
    from jobs.stages.features import build_features  # here: see jobs.run.enter

    build_features(run)


if __name__ == "__main__":
    sys.exit(enter(make))
