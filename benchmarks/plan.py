"""Measures what `discovery plan` rests on, and says how well the smaller sizes plan the largest.

    python -m benchmarks.plan [--scales 1 4 16] [--events 1500000] [--out FILE] [--shared] [--kept] [--json]

Runs the whole job on worlds of three sizes (as `benchmarks.pipeline` does), after a small one that compiles and warms,
and writes size, core-seconds, shuffles and peak memory of each stage into jobs/sizing/measured.json. With --shared the
file says that other work ran beside, so that seconds do not count. With --kept nothing is measured: the errors of the
file as it is are printed.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import positive
from benchmarks.measured_run import measure_run
from benchmarks.pipeline import PRODUCT, world_at
from conf.base import format_bytes
from conf.errors import DiscoveryError
from conf.text_table import table
from deploy.chain import REPO
from deploy.demo.world import generate
from jobs.sizing.measured import FILE, Measured, SizedRun, read
from jobs.sizing.plan import GOAL, Check, HeldOut
from publish.clock import utc_now

_WARM_UP = 150_000
_EVENTS = 1_500_000
"""At ×1: in a smaller run nearly all is start-up, and nothing tells what an event costs."""
_HEAP = "spark.driver.memory"


def heap_bytes(defaults: Path = REPO / "conf/spark-defaults.conf") -> int:
    """Returns the heap of the measured runs. Raises ValueError where the file has none in GiB."""
    words = dict(line.split(maxsplit=1) for line in defaults.read_text().splitlines() if line.startswith("spark."))
    return int(words[_HEAP].removesuffix("g")) * 2**30


def machine() -> str:
    """Returns the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def measure(scale: int, events: int) -> SizedRun:
    """Returns what the job takes on the world at `scale`, in a temporary folder. Raises ChainFailed."""
    world = world_at(scale, events)
    with tempfile.TemporaryDirectory(prefix="discovery-plan-") as folder:
        home = Path(folder)
        generate(home / "data", world)
        made = measure_run(home, PRODUCT, world.as_of.isoformat())
        return SizedRun.of(scale, made.manifest, made.seconds)


def measure_all(scales: Sequence[int], events: int, *, shared: bool) -> Measured:
    """Runs the job at each scale. Raises ChainFailed."""
    print("warming up …", file=sys.stderr)
    measure(1, _WARM_UP)
    runs = []
    for scale in scales:
        print(f"×{scale} …", file=sys.stderr)
        runs.append(measure(scale, events))
    return Measured(
        date=utc_now().date(),
        machine=machine(),
        cores=os.cpu_count() or 1,
        heap_bytes=heap_bytes(),
        shared=shared,
        command=f"python -m benchmarks.plan --events {events}",
        runs=tuple(runs),
    )


def report(measured: Measured, held: HeldOut) -> str:
    """Returns the errors as a table, and what was held out."""
    rows = [
        [check.name, check.unit, _figure(check, check.planned), _figure(check, check.measured), _error(check)]
        for check in held.checks
    ]
    by = " and ".join(f"×{scale}" for scale in held.by)
    size = measured.runs[-1].workload
    head = (
        f"×{held.scale} ({size.events:,} events in the windows, {size.users:,} users, {size.sources:,} sources) "
        f"as planned by {by}; {measured.machine}, {measured.cores} cores, {measured.date}"
        f"{', beside other work' if measured.shared else ''}; goal within {GOAL:.0%}"
    )
    return f"{head}\n{table(rows, ('what', 'unit', 'planned', 'measured', 'error'))}"


def _figure(check: Check, value: float) -> str:
    return format_bytes(value) if check.unit == "bytes" else f"{value:,.1f}"


def _error(check: Check) -> str:
    missed = "" if check.met else " (beyond the goal)" if check.counts else " (beside other work)"
    return f"{check.error:+.0%}{missed}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0, or 2 for a file that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="The constants of discovery plan.")
    parser.add_argument("--scales", type=positive, nargs="+", default=[1, 4, 16], help="at least three")
    parser.add_argument("--events", type=positive, default=_EVENTS, help="events at ×1")
    parser.add_argument("--out", type=Path, default=FILE, help="file to write, or with --kept to read")
    parser.add_argument("--shared", action="store_true", help="other work runs beside: seconds do not count")
    parser.add_argument("--kept", action="store_true", help="measure nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    if len(set(arguments.scales)) < 3:
        parser.error("--scales: three sizes at least, two to plan by and one to hold out")
    try:
        if not arguments.kept:
            found = measure_all(sorted(set(arguments.scales)), arguments.events, shared=arguments.shared)
            arguments.out.write_text(found.model_dump_json(indent=1) + "\n")
        measured = read(arguments.out)
    except DiscoveryError as error:
        print(f"plan: {error}", file=sys.stderr)
        return 2
    held = HeldOut.of(measured)
    print(report(measured, held))
    if arguments.json:
        checks = [{**vars(check), "error": check.error, "met": check.met} for check in held.checks]
        print(json.dumps({"scale": held.scale, "by": held.by, "goal": GOAL, "checks": checks}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
