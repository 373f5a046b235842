"""Measures the growth of the weekly job: the demo world at ×1, ×4 and ×16 events, seconds and peak memory per stage.

    python -m benchmarks.pipeline [--scales 1 4 16] [--events 1500000] [--floors] [--json]

Users grow with the events, sources with their square root, as networks do. Memory is resident bytes, sampled four times
a second: the JVM, the Python driver (where training runs) and all Python workers together. The JVM gives no memory
back, so a later stage shows the peak of an earlier one.

The seconds from spark-submit to the first line of the log and to the end stand beside those of a spark-submit that
opens a session and does nothing else, measured right before and right after (the mean of both).

With --floors, the seconds of the stages and of the whole job stand beside what they cannot avoid (`benchmarks.floors`),
measured on the same data right afterwards.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from benchmarks.bare_session import bare_session_seconds
from benchmarks.floors.floor import Floor
from benchmarks.floors.measure import floors_json, floors_table, measure_floors
from benchmarks.growth import Figure, Size, growth
from benchmarks.measured_run import MeasuredRun, measure_run
from conf.base import format_bytes
from deploy.chain import REPO, ProductFiles
from deploy.demo.tastes import World
from deploy.demo.world import WorldSummary, generate

PRODUCT = ProductFiles(REPO / "conf/prod_discovery.yml", (REPO / "conf/overlays/benchmark.yml",))
"""The product that is measured, with long deadlines for its large sizes."""


@dataclass(frozen=True)
class Sized:
    """A run at one size."""

    scale: int
    world: WorldSummary
    run: MeasuredRun
    bare_seconds: float
    """Seconds of a spark-submit that only opens a session."""
    floors: Sequence[Floor] = ()
    """Empty unless asked for."""

    @property
    def peak_bytes(self) -> int:
        """The most that all processes of the job took at once."""
        return max(stage.peak_bytes["total"] for stage in self.run.manifest.stages.values())


def world_at(scale: int, events: int) -> World:
    """Returns the world with `scale` times so many events: users grow with them, sources with their square root."""
    base = World()
    return World(
        users=base.users * scale * events // base.events,
        sources=int(base.sources * sqrt(scale * events / base.events)),
        events=events * scale,
    )


def measure(scale: int, events: int, *, with_floors: bool = False) -> Sized:
    """Generates the world at `scale` and runs the job on it, in a temporary folder; then measures its floors."""
    world = world_at(scale, events)
    with tempfile.TemporaryDirectory(prefix="discovery-pipeline-") as folder:
        home = Path(folder)
        summary = generate(home / "data", world)
        before = bare_session_seconds(home, PRODUCT.config)
        run = measure_run(home, PRODUCT, world.as_of.isoformat())
        after = bare_session_seconds(home, PRODUCT.config)
        floors = measure_floors(home, run.manifest) if with_floors else ()
        return Sized(scale, summary, run, (before + after) / 2, floors)


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
        lines.append(f"  {'all':<8}{total:>9.1f}{format_bytes(sized.peak_bytes):>48}")
        lines.append(
            f"  first line after {run.first_line_seconds:.1f} s, end after {run.seconds:.1f} s; "
            f"a bare session {sized.bare_seconds:.1f} s"
        )
        lines.append(
            f"  {run.lists:,} lists; loader's peak {format_bytes(run.loader_peak_bytes)}; "
            f"Redis {run.redis_bytes_per_list:.0f} bytes per list"
        )
        if sized.floors:
            lines += floors_table(run.manifest, sized.floors, run.seconds)
    return "\n".join([*lines, *map(str, figures(sizes))])


def figures(sizes: Sequence[Sized]) -> list[Figure]:
    """Returns the growth from the smallest to the largest size; [] for one size."""
    known = {sized.scale: Size(sized.world.events, sized.run.seconds, sized.peak_bytes) for sized in sizes}
    return growth(known[min(known)], known[max(known)]) if len(known) > 1 else []


def as_json(sizes: Sequence[Sized]) -> str:
    """Returns the figures of `table` as one JSON object."""
    return json.dumps(
        {"sizes": [_size_json(sized) for sized in sizes], "growth": [figure.result() for figure in figures(sizes)]}
    )


def _size_json(sized: Sized) -> dict[str, Any]:
    run = sized.run
    result = {
        "scale": sized.scale,
        "events": sized.world.events,
        "users": sized.world.users,
        "sources": sized.world.sources,
        "lists": run.lists,
        "first_line_seconds": run.first_line_seconds,
        "seconds": run.seconds,
        "bare_seconds": sized.bare_seconds,
        "loader_peak_bytes": run.loader_peak_bytes,
        "redis_bytes_per_list": run.redis_bytes_per_list,
        "stages": {
            name: {"seconds": stage.seconds, "peak_bytes": stage.peak_bytes}
            for name, stage in run.manifest.stages.items()
        },
    }
    return result | {"floors": floors_json(run.manifest, sized.floors, run.seconds)} if sized.floors else result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description="Growth of the weekly job.")
    parser.add_argument("--scales", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--events", type=int, default=World().events, help="events at ×1")
    parser.add_argument("--floors", action="store_true", help="measure what each stage cannot avoid, too")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    sizes = []
    for scale in arguments.scales:
        print(f"×{scale} …", file=sys.stderr)
        sizes.append(measure(scale, arguments.events, with_floors=arguments.floors))
    print(table(sizes))
    if arguments.json:
        print(as_json(sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
