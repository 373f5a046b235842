"""What did users do with their lists? Answers of a day × events of the days after it → figures per run and arm.

    spark-submit jobs/measure_outcomes.py --config conf/prod_discovery.yml --day 2026-11-16

Earlier days that have matured since, or changed, are measured again, and the weeks of experiments that are over
(docs/experiment-sums.md). Exit codes: 0 done, 2 bad input, 75 the day's
answers or events are not there yet, 1 try again.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys
from collections.abc import Sequence

from jobs.outcomes.arguments import parse_asked
from jobs.runtime.exit import report
from publish.clock import utc_now


def measure_outcomes(argv: Sequence[str] | None = None) -> None:
    """Measures every day up to `--day` that needs it."""
    asked = parse_asked(argv, today=utc_now().date())
    from jobs.outcomes.measure import Measuring, tell  # here: typing errors need not wait for Spark
    from jobs.outcomes.weeks import measure_weeks, tell_weeks

    measuring = Measuring.open(asked.config, asked.overlays, asked.day)
    plan = measuring.plan()
    with measuring.ending():
        tell(plan, measuring.make(plan))
        tell_weeks(measure_weeks(measuring))


if __name__ == "__main__":
    sys.exit(report(measure_outcomes, again="start the same command again"))
