"""What every spark-submit entry does around its stages: parses options, opens the run, reports errors.

It says that it starts before it imports more than options need. Most modules are imported when the run is opened, while
Java opens the Spark session; the modules of its stages, which have the same libraries, after that.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from jobs.run.arguments import parse_arguments
from jobs.runtime.exit import report
from jobs.runtime.log import log_step
from publish.clock import utc_now

if TYPE_CHECKING:
    from jobs.run import context

Run: TypeAlias = "context.Run"


def enter(work: Callable[[Run], None], argv: Sequence[str] | None = None) -> int:
    """Runs `work` on the run that the command line names. Returns the exit code."""

    def run() -> None:
        arguments = parse_arguments(argv, today=utc_now().date())
        if arguments.dry_run:
            from jobs.run.dry_run import dry_run

            sys.stdout.writelines(dry_run(arguments))
            return
        log_step("run", f"starts as of {arguments.as_of}: first the settings and the servers are checked")
        from jobs.run.open_run import work_on_runs

        work_on_runs(arguments, work)

    return report(run, again="start again with the same --run-id")
