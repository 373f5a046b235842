"""What every spark-submit entry does around its stages: parse, open the run, report; and what an error looks like."""

import datetime as dt
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence

from conf.errors import DiscoveryError
from jobs.arguments import parse_arguments
from jobs.dry_run import dry_run
from jobs.interrupts import INTERRUPTED, Stop
from jobs.log import log, start_logging
from jobs.opening import open_run
from jobs.orphan import end_with_spark_submit
from jobs.run import Run

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, the quota of the user, or the largest file that the system allows."""


def enter(work: Callable[[Run], None], argv: Sequence[str] | None = None) -> int:
    """Runs `work` on the run that the command line names; gives the exit code."""

    def run() -> None:
        arguments = parse_arguments(argv, today=dt.datetime.now(dt.UTC).date())
        if arguments.dry_run:
            sys.stdout.writelines(dry_run(arguments))
            return
        with open_run(arguments) as opened:
            work(opened)

    return report(run, again="start again with the same --run-id")


def report(work: Callable[[], None], *, again: str) -> int:
    """Does the work of an entry with its log and signals, and gives the exit code; `again` says how to go on."""
    start_logging()
    end_with_spark_submit()
    advice = f"interrupted; {again} to go on with what is unfinished"
    with Stop(advice, (signal.SIGINT, signal.SIGTERM)) as stop:
        try:
            work()
            return 0
        except KeyboardInterrupt:
            return INTERRUPTED
        except DiscoveryError as error:
            if stop.asked:  # what Spark, Kafka or Redis say while everything ends is no news
                return INTERRUPTED
            log.error("error     %s", error)
            return error.exit_code
        except Exception as error:
            if stop.asked:
                return INTERRUPTED
            if full := _disk_full(error):
                log.error(
                    "error     the disk is full (%s): free space where DISCOVERY_HOME and SPARK_LOCAL_DIRS lie, then "
                    "%s; nothing was published by what is unfinished",
                    full,
                    again,
                )
                return 1
            raise


def _disk_full(error: BaseException) -> str | None:
    """How the system said that there is no room, or None when the error is another one."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return os.strerror(error.errno)
    said = str(error)  # of an error in Spark there is nothing but the text
    return next((text for number in _DISK_FULL if (text := os.strerror(number)) in said), None)
