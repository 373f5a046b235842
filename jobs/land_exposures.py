"""Lands what was answered to whom from Kafka as dated Parquet files, exactly once; needs no Spark.

    spark-submit jobs/land_exposures.py --config conf/prod_discovery.yml      or: discovery exposures land

Exit codes: 0 done, 4 done but records were lost or cannot be read, 75 another landing is under way, 1 try again.
"""

if __name__ == "__main__":
    from jobs.runtime.interrupts import end_at_once

    end_at_once()


import sys
from collections.abc import Sequence

from conf.environment import Environment
from conf.load import load_settings
from jobs.exposures.entry import land
from jobs.run.arguments import Config, Overlay, parse
from jobs.runtime.exit import report
from jobs.runtime.log import log


def land_exposures(argv: Sequence[str] | None = None) -> None:
    """Lands the topic and logs the report."""
    config, overlays = parse(_flags, argv)
    landed = land(load_settings(config, overlays), Environment.read())
    log.info("%s", landed.text())
    if landed.exit_code:
        sys.exit(landed.exit_code)


def _flags(*, config: Config, overlay: Overlay = None) -> tuple[Config, Sequence[Config]]:
    return config, tuple(overlay or ())


if __name__ == "__main__":
    sys.exit(report(land_exposures, again="start the same command again"))
