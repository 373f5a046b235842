"""The demo world: events, subscriptions, sources, blocks and audience of people with planted tastes.

    python -m deploy.demo.world OUT [--users N] [--sources N] [--days N] [--as-of DAY] [--events N] [--ids KIND] …

Below OUT lie the datasets that `conf/prod_discovery.yml` reads, and `_truth/` (see `deploy/demo/truth.py`), with the
world's parameters in `world.json`. Snapshots hold the state in the evening of the last day, and two days earlier for a
model judged on a hold-out of two days; likewise for weekly runs before. One day of events is in memory at a time.
Errors are WorldError.
"""

import argparse
import dataclasses
import datetime as dt
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy.random import default_rng

from deploy.demo.events import draw_day, first_subscriptions
from deploy.demo.partitions import draw_moments, evening, event_table, source_table, write_partition
from deploy.demo.tastes import World, plant
from deploy.demo.truth import WorldError
from deploy.demo.volume import daily_events

__all__ = ["World", "WorldSummary", "generate"]

Progress = Callable[[dt.date, int], None]
"""Called after each day with its date and the number of events so far."""

_STATES = (1, 3)  # days before a weekly run in whose evenings snapshots are taken


@dataclass(frozen=True)
class WorldSummary:
    """Counts of a generated world."""

    users: int
    sources: int
    events: int
    bytes: int
    """Size of all files."""


def generate(out: Path, world: World, progress: Progress = lambda day, events: None) -> WorldSummary:
    """Writes `world` below `out`, whole or not at all. Raises WorldError where `out` exists and is not empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WorldError(f"{out} is not empty: delete it, or name another folder for the demo world")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    events = _write_world(partial, world, progress)
    (partial / "_truth" / "world.json").write_text(json.dumps(dataclasses.asdict(world), default=str))
    size = sum(file.stat().st_size for file in partial.rglob("*.parquet"))
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return WorldSummary(world.users, world.sources, events, size)


def _write_world(folder: Path, world: World, progress: Progress) -> int:
    rng, written = default_rng([world.seed, 0]), 0
    population = plant(world, rng)
    population.truth.save(folder / "_truth")
    sources = source_table(world, population)
    subscriptions = first_subscriptions(population, rng)
    for day, counts in enumerate(daily_events(world)):
        date, rng = world.first_day + dt.timedelta(days=day), default_rng([world.seed, 1 + day])
        today = draw_day(population, subscriptions, day, counts, rng)
        subscriptions = today.subscriptions
        for name, happened in today.datasets.items():
            moments = draw_moments(date, len(happened.pairs), rng)
            write_partition(folder / name, date, event_table(population, happened, moments))
            written += len(happened.pairs)
        if any((world.days - day - ago) % 7 == 0 for ago in _STATES):
            for name, table in evening(population, sources, subscriptions, day).items():
                write_partition(folder / name, date, table)
        progress(date, written)
    return written


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 for a world that cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.world", description="Generates the demo world.")
    parser.add_argument("out", type=Path, help="folder to make")
    for field in dataclasses.fields(World):
        choices = ["int64", "string"] if field.name == "ids" else None
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=_parser_of(field.default), choices=choices, default=field.default
        )
    arguments = vars(parser.parse_args(argv))
    started, out = time.monotonic(), arguments.pop("out")
    try:
        summary = generate(out, World(**arguments), lambda day, events: _say(f"{day}  {events:>12,} events"))
    except WorldError as error:
        print(f"demo world: {error}", file=sys.stderr)  # noqa: T201
        return 2
    counts = f"{summary.users:,} users, {summary.sources:,} sources, {summary.events:,} events, {summary.bytes:,} bytes"
    _say(f"{out}: {counts} in {time.monotonic() - started:.1f} s")
    return 0


def _parser_of(default: object) -> Callable[[str], object]:
    return dt.date.fromisoformat if isinstance(default, dt.date) else type(default)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
