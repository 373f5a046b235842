"""Ranks and publishes 10 million users × 1 million sources, in pieces that are not done again after a kill.

    python -m benchmarks.large_world [--home work/large_world] [--users 10000000] [--sources 1000000] [--piece 100000]
        [--n 50] [--partitions 32] [--processes 2] [--rank-minutes 600] [--factors FILE.npz] [--data ../shared/data]
        [--until rank] [--json]

Users and sources are drawn from real ALS factors, trained once on the shared data; users may not get sources that
resemble what the real ones know. Lists are made by the function that Spark's workers run, in processes of their own,
and published by the job's own steps to a real broker, a real loader and a real Redis. What Spark does between the two,
a shuffle by Kafka partition, is done here piece by piece and not measured. After --rank-minutes the pieces that are
left get lists of users who were ranked, and the result says how many; the rest of the way is the same for them.

Start it again with the same --home after it was stopped or killed, servers included: it goes on. A broker and a Redis
that a kill left behind: `python -m deploy.servers.local_stack down --home HOME/servers`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import positive
from benchmarks.large_world.errors import LargeWorldError
from benchmarks.large_world.pieces import Record, read_json, write_json
from benchmarks.large_world.proof import check_ranking, check_served
from benchmarks.large_world.push import CONFIG, announcement_of, push, servers_of
from benchmarks.large_world.ranking import build_candidates, in_processes, rank_pieces, resample_missing
from benchmarks.large_world.snapshot import write_snapshot
from benchmarks.large_world.table import as_text, figures_of
from benchmarks.large_world.world import LargeWorld, Size
from benchmarks.ranking.factors import FactorSet, named_set
from benchmarks.real_input import DATA
from conf.errors import DiscoveryError
from conf.load import load_settings

_LOOKUPS, _CHECKED = 10_000, 200
_BASE = "gowalla_128"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 when a list is wrong or does not serve."""
    arguments = _parser().parse_args(argv)
    size = Size(arguments.users, arguments.sources, arguments.piece, arguments.n, arguments.partitions)
    try:
        world = LargeWorld.open(arguments.home, size, load_settings(CONFIG))
        prepare(world, arguments.factors, arguments.data)
        rank_pieces(world, arguments.processes, arguments.rank_minutes)
        result = publish(world, arguments.processes) if arguments.until == "serve" else {}
        result = figures_of(world) | result
    except DiscoveryError as error:
        print(f"large_world: {error}", file=sys.stderr)
        return 1
    print(as_text(result))
    if arguments.json:
        print(json.dumps(result))
    return 0


def prepare(world: LargeWorld, factors: Path | None, data: Path) -> None:
    """Draws the sources and makes the candidates, unless the folder holds them; factors: a file instead of ours."""
    if (world.home / "candidates.json").exists():
        return
    world.write_sources(named_set(_BASE, data) if factors is None else FactorSet.load(factors))
    (record,) = in_processes(build_candidates, [(world,)], 1)
    write_json(world.home / "candidates.json", record)


def publish(world: LargeWorld, processes: int) -> Record:
    """Publishes the lists and proves them. Returns the figures. Raises LargeWorldError where something differs."""
    resample_missing(world, processes)
    write_snapshot(world, processes)
    ranking = read_json(world.home / "ranking.json") or check_ranking(world, _CHECKED)
    write_json(world.home / "ranking.json", ranking)
    run = announcement_of(world)
    with servers_of(world, run) as servers:
        figures = push(world, run, servers)
        served = check_served(world, run, servers, _LOOKUPS)
    if ranking["wrong"] or served["faults"] or served["different"] or len(set(served["counts"].values())) > 1:
        raise LargeWorldError(f"what is served is not what was to be ranked: {ranking}, {served}")
    return {"ranking_check": ranking, "push": figures, "served": served}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_world", description="A large world, in pieces.")
    parser.add_argument("--home", type=Path, default=Path("work/large_world"), help="folder of everything; 20 GB")
    parser.add_argument("--users", type=positive, default=10_000_000)
    parser.add_argument("--sources", type=positive, default=1_000_000)
    parser.add_argument("--piece", type=positive, default=100_000, help="users of a piece")
    parser.add_argument("--n", type=positive, default=50, help="sources of a list")
    parser.add_argument("--partitions", type=positive, default=32, help="Kafka partitions")
    parser.add_argument("--processes", type=positive, default=2, help="how many rank at once")
    parser.add_argument("--rank-minutes", type=float, default=600, help="pieces begun later get others' lists")
    parser.add_argument("--until", choices=("rank", "serve"), default="serve", help="the last step")
    parser.add_argument("--factors", type=Path, help="an npz of users, sources, indptr, indices instead of ours")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of gowalla.parquet")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
