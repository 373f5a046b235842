"""Lists → snapshot → announced in Redis → Kafka: BEGIN, lists, END. Whether it then serves, the loader decides.

spark-submit jobs/publish_topn.py --config conf/prod_discovery.yml --as-of 2026-11-16 --run-id ID
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys

from jobs.run.enter import Run, enter


def make(run: Run) -> None:
    """Makes the stage, unless an earlier attempt finished it."""
    from jobs.stages.publish import publish_topn  # here: see jobs.run.enter

    publish_topn(run)


if __name__ == "__main__":
    sys.exit(enter(make))
