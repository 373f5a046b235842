"""Runs the work of an entry with its log and signals, and turns what stopped it into an exit code."""

import errno
import os
import signal
from collections.abc import Callable

from conf.errors import DiscoveryError
from jobs.runtime.interrupts import INTERRUPTED, Stop
from jobs.runtime.log import log, start_logging
from jobs.runtime.orphan import end_with_spark_submit

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk, the quota of the user, or the largest file that the system allows."""


def report(work: Callable[[], None], *, again: str) -> int:
    """Does the work of an entry with its log and signals, and returns the exit code; `again` says how to go on."""
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
    """Returns how the system said that there is no room, or None when the error is another one."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return os.strerror(error.errno)
    message = str(error)  # of an error in Spark there is nothing but the text
    return next((text for number in _DISK_FULL if (text := os.strerror(number)) in message), None)
