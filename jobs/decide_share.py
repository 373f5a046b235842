"""Which share of the audience is the week's run to cover? Decides it by what the experiment has shown; needs no Spark.

    spark-submit jobs/decide_share.py --config conf/prod_discovery.yml --as-of 2026-11-23
    or: discovery experiment decide --as-of 2026-11-23

The same week always has the same decision (docs/experiments.md). Exit codes: 0 decided, or there is nothing to decide;
2 bad input; 4 the experiment was stopped; 75 with `--wait`, the outcomes of last week are not there yet; 1 try again.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys
from collections.abc import Sequence

from conf.environment import Environment
from conf.load import load_settings
from jobs.experiments.arguments import parse_asked
from jobs.runtime.exit import report
from jobs.runtime.log import log
from publish.clock import utc_now


def decide_share(argv: Sequence[str] | None = None) -> None:
    """Decides, and logs the decision."""
    asked = parse_asked(argv, today=utc_now().date())
    from jobs.experiments.entry import weekly_share  # here: typing errors need not wait for scipy

    share = weekly_share(load_settings(asked.config, asked.overlays), Environment.read(), asked.as_of, wait=asked.wait)
    log.info("%s", share.text())
    if share.exit_code:
        sys.exit(share.exit_code)


if __name__ == "__main__":
    sys.exit(report(decide_share, again="start the same command again"))
