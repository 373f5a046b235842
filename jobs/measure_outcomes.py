"""What did users do with their lists? Answers of a day × events of the days after it → figures per run and arm.

    spark-submit jobs/measure_outcomes.py --config conf/prod_discovery.yml --day 2026-11-16

Earlier days that have matured since, or changed, are measured again. Exit codes: 0 done, 2 bad input, 75 the day's
answers or events are not there yet, 1 try again.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import datetime as dt
import sys
from collections.abc import Sequence

from jobs.outcomes.arguments import parse_asked
from jobs.runtime.exit import report


def measure_outcomes(argv: Sequence[str] | None = None) -> None:
    """Measures every day up to `--day` that needs it."""
    asked = parse_asked(argv, today=dt.datetime.now(dt.UTC).date())
    from jobs.outcomes.measure import Measuring, tell  # here: typing errors need not wait for Spark

    measuring = Measuring.open(asked.config, asked.overlays, asked.day)
    plan = measuring.plan()
    tell(plan, measuring.make(plan))


if __name__ == "__main__":
    sys.exit(report(measure_outcomes, again="start the same command again"))
