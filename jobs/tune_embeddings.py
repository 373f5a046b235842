"""Searches for better training settings of a product, as a proposal that a person reviews and commits.

    spark-submit jobs/tune_embeddings.py --config conf/prod_discovery.yml --as-of 2026-11-16 --trials 30

The features are made once. Trials are chosen by the days before the hold-out, the winner is judged on the hold-out.
The same command continues where an earlier start stopped.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys
from collections.abc import Sequence

from jobs.runtime.exit import report
from jobs.tuning.arguments import parse_tuning
from jobs.tuning.features import check_history, load_part, make_features
from jobs.tuning.parts import VALIDATION
from jobs.tuning.proposal import propose
from jobs.tuning.study import open_study
from jobs.tuning.trials import run_trials
from publish.clock import utc_now


def tune_embeddings(argv: Sequence[str] | None = None) -> None:
    """Makes the features, runs the missing trials, and writes the proposal."""
    arguments = parse_tuning(argv, today=utc_now().date())
    with open_study(arguments) as study:
        make_features(study)
        check_history(study)
        validation = load_part(study, VALIDATION)
        trials = run_trials(study, validation)
        propose(study, trials, validation)


if __name__ == "__main__":
    sys.exit(report(tune_embeddings, again="start the same command again"))
