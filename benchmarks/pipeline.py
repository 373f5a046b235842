"""Measures the growth of the weekly job: the demo world at ×1, ×4 and ×16 events, seconds and peak memory per stage.

    python -m benchmarks.pipeline [--scales 1 4 16] [--events 1500000] [--json]

Users grow with the events, sources with their square root, as networks do. Memory is resident bytes, sampled four times
a second: the JVM, the Python driver (where training runs) and all Python workers together. The JVM gives no memory
back, so a later stage shows the peak of an earlier one.

The seconds from spark-submit to the first line of the log and to the end stand beside those of a spark-submit that
opens a session and does nothing else, measured right before and right after (the mean of both).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from benchmarks.bare_session import bare_session_seconds
from benchmarks.measured_run import MeasuredRun, measure_run
from conf.base import format_bytes
from deploy.chain import REPO, ProductFiles
from deploy.demo.tastes import World
from deploy.demo.world import WorldSummary, generate

_PRODUCT = ProductFiles(REPO / "conf/prod_discovery.yml", (REPO / "conf/overlays/benchmark.yml",))


@dataclass(frozen=True)
class Sized:
    """A run at one size."""

    scale: int
    world: WorldSummary
    run: MeasuredRun
    bare_seconds: float
    """Seconds of a spark-submit that only opens a session."""


def measure(scale: int, events: int) -> Sized:
    """Generates the world at `scale` and runs the job on it, in a temporary folder."""
    base = World()
    world = World(
        users=base.users * scale * events // base.events,
        sources=int(base.sources * sqrt(scale * events / base.events)),
        events=events * scale,
    )
    with tempfile.TemporaryDirectory(prefix="discovery-pipeline-") as folder:
        home = Path(folder)
        summary = generate(home / "data", world)
        before = bare_session_seconds(home, _PRODUCT.config)
        run = measure_run(home, _PRODUCT, world.as_of.isoformat())
        after = bare_session_seconds(home, _PRODUCT.config)
        return Sized(scale, summary, run, (before + after) / 2)


def table(sizes: Sequence[Sized]) -> str:
    """Returns seconds and peak memory per stage as text, a block of lines per size."""
    lines = [f"{'':<10}{'seconds':>9}{'JVM':>12}{'driver':>12}{'workers':>12}{'all':>12}"]
    for sized in sizes:
        world, run = sized.world, sized.run
        lines.append(f"×{sized.scale}: {world.events:,} events, {world.users:,} users, {world.sources:,} sources")
        lines += [
            f"  {name:<8}{stage.seconds:>9.1f}"
            + "".join(f"{format_bytes(stage.peak_bytes[kind]):>12}" for kind in ("jvm", "driver", "workers", "total"))
            for name, stage in run.manifest.stages.items()
        ]
        total = sum(stage.seconds for stage in run.manifest.stages.values())
        peak = max(stage.peak_bytes["total"] for stage in run.manifest.stages.values())
        lines.append(f"  {'all':<8}{total:>9.1f}{format_bytes(peak):>48}")
        lines.append(
            f"  first line after {run.first_line_seconds:.1f} s, end after {run.seconds:.1f} s; "
            f"a bare session {sized.bare_seconds:.1f} s"
        )
        lines.append(
            f"  {run.lists:,} lists; loader's peak {format_bytes(run.loader_peak_bytes)}; "
            f"Redis {run.redis_bytes_per_list:.0f} bytes per list"
        )
    return "\n".join(lines)


def as_json(sizes: Sequence[Sized]) -> str:
    """Returns the figures of `table` as one JSON object."""
    return json.dumps(
        {
            "sizes": [
                {
                    "scale": sized.scale,
                    "events": sized.world.events,
                    "users": sized.world.users,
                    "sources": sized.world.sources,
                    "lists": sized.run.lists,
                    "first_line_seconds": sized.run.first_line_seconds,
                    "seconds": sized.run.seconds,
                    "bare_seconds": sized.bare_seconds,
                    "loader_peak_bytes": sized.run.loader_peak_bytes,
                    "redis_bytes_per_list": sized.run.redis_bytes_per_list,
                    "stages": {
                        name: {"seconds": stage.seconds, "peak_bytes": stage.peak_bytes}
                        for name, stage in sized.run.manifest.stages.items()
                    },
                }
                for sized in sizes
            ]
        }
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description="Growth of the weekly job.")
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--events", type=int, default=World().events, help="events at ×1")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    sizes = []
    for scale in arguments.scales:
        print(f"×{scale} …", file=sys.stderr)
        sizes.append(measure(scale, arguments.events))
    print(table(sizes))
    if arguments.json:
        print(as_json(sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
