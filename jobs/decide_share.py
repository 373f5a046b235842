"""Which share of the audience is the week's run to cover? Decides it by what the experiment has shown; needs no Spark.

    spark-submit jobs/decide_share.py --config conf/prod_discovery.yml --as-of 2026-11-23
    or: discovery experiment decide --as-of 2026-11-23

The same week always has the same decision (docs/experiments.md). Exit codes: 0 decided, or there is nothing to decide;
2 bad input; 4 the experiment was stopped; 75 with `--wait`, the outcomes of last week are not there yet; 1 try again.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from conf.environment import Environment
from conf.load import load_settings
from jobs.run.arguments import AsOf, Config, Overlay, parse, past_day
from jobs.runtime.exit import report
from jobs.runtime.log import log
from publish.clock import utc_now


class _Asked(NamedTuple):
    config: Path
    overlays: Sequence[Path]
    as_of: dt.date
    wait: bool


def decide_share(argv: Sequence[str] | None = None) -> None:
    """Decides, and logs the decision."""
    asked = parse(_flags, argv)
    as_of = past_day(asked.as_of, utc_now().date())
    from jobs.experiments.entry import weekly_share  # here: typing errors need not wait for scipy

    share = weekly_share(load_settings(asked.config, asked.overlays), Environment.read(), as_of, wait=asked.wait)
    log.info("%s", share.text())
    if share.exit_code:
        sys.exit(share.exit_code)


def _flags(
    *,
    config: Config,
    as_of: AsOf,
    overlay: Overlay = None,
    wait: Annotated[bool, typer.Option("--wait", help="Exit with 75 until the week that is over is measured.")] = False,
) -> _Asked:
    return _Asked(config, tuple(overlay or ()), as_of, wait)


if __name__ == "__main__":
    sys.exit(report(decide_share, again="start the same command again"))
