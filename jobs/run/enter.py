"""What every spark-submit entry does around its stages: parses options, opens the run, reports errors."""

import datetime as dt
import sys
from collections.abc import Callable, Sequence

from jobs.run.arguments import parse_arguments
from jobs.run.context import Run
from jobs.run.dry_run import dry_run
from jobs.run.open_run import open_run
from jobs.runtime.exit import report


def enter(work: Callable[[Run], None], argv: Sequence[str] | None = None) -> int:
    """Runs `work` on the run that the command line names. Returns the exit code."""

    def run() -> None:
        arguments = parse_arguments(argv, today=dt.datetime.now(dt.UTC).date())
        if arguments.dry_run:
            sys.stdout.writelines(dry_run(arguments))
            return
        with open_run(arguments) as opened:
            work(opened)

    return report(run, again="start again with the same --run-id")
