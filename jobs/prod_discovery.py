"""The weekly job: which sources would every user love and does not follow yet?

    spark-submit jobs/prod_discovery.py --config conf/prod_discovery.yml --as-of 2026-11-16 --audience-share 0.25

datasets → daily partials → interactions        GATE 1: rows, nulls, values, distributions against the run before
  → embeddings, judged on a hold-out            registered in MLflow with data, code and parameters
    → top-N lists − what they must not hold     GATE 2: the lists themselves, and against the run that serves
      → snapshot → Kafka → loader → Redis       read back, verified, promoted: only now it serves

Each stage is also an entry of its own, because the weekly DAG retries stages, not the world.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys

from jobs.run.enter import Run, enter


def discover(run: Run) -> None:
    """Makes one run, from datasets to lists that serve; stages that an earlier attempt finished are skipped."""
    from jobs.stages.features import build_features  # here: see jobs.run.enter
    from jobs.stages.lists import precompute_topn
    from jobs.stages.publish import publish_topn
    from jobs.stages.training.train import train_embeddings
    from jobs.stages.wait_until_serving import wait_until_serving

    build_features(run)
    train_embeddings(run)
    precompute_topn(run)
    publish_topn(run)
    wait_until_serving(run)


if __name__ == "__main__":
    sys.exit(enter(discover))
