"""Runs an entry with log and signal handlers, and turns errors into exit codes."""

import errno
import os
import re
import signal
from collections.abc import Callable

from conf.errors import DiscoveryError
from jobs.runtime.interrupts import INTERRUPTED, Stop
from jobs.runtime.log import log, start_logging
from jobs.runtime.orphan import end_with_spark_submit

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, the user's quota, or the largest file that the system allows."""
_GAVE_UP = re.compile(
    r"Job aborted due to stage failure: (.*(?:ExecutorLostFailure|maximum allowable|Authorized committer)[^\n]*)"
)
"""What Spark says when executors were lost too often: of a task, of the files that a stage needs, or at a commit."""


def report(work: Callable[[], None], *, again: str) -> int:
    """Runs an entry with log and signal handlers. Returns the exit code; `again` is the advice how to resume."""
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
            if stop.asked:  # errors of Spark, Kafka or Redis during shutdown are no news
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
            if lost := _GAVE_UP.search(str(error)):
                log.error(
                    "error     Spark gave up: %s; see why executors end (their logs, memory, machines), then %s; "
                    "nothing was published by what is unfinished",
                    lost[1],
                    again,
                )
                return 1
            raise


def _disk_full(error: BaseException) -> str | None:
    """Returns the system's message if the disk is full, None for another error."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return os.strerror(error.errno)
    message = str(error)  # an error in Spark is only text
    return next((text for number in _DISK_FULL if (text := os.strerror(number)) in message), None)
