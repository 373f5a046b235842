"""Measures what the first gate stops: healthy weeks of real and generated data, and losses planted in them.

    python -m benchmarks.gates [--only NAME …] [--data ../shared/data] [--weeks N] [--weekday 0] [--worlds 3] [--json]

deck_cards, online_retail    weekly runs over real data, with snapshots that are derived from it
    demo                         weekly runs over generated worlds, with snapshots of their own

Each week is judged against the one before by the gate's own checks on the interactions and on the inputs. Losses are
planted in the weeks that pass, and the table shows the share of them that either kind of check stops. Ends with 1 when
the checks on inputs stop a healthy week that those on interactions let pass, or when data are missing.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from numpy.random import default_rng

from benchmarks.arguments import positive
from benchmarks.gates.demo import FIRST_RUN, demo_past
from benchmarks.gates.losses import event_losses, snapshot_losses
from benchmarks.gates.past import WEEK, Past
from benchmarks.gates.real import real_past
from benchmarks.gates.walk import Healthy, Planted, healthy, planted, walk
from benchmarks.real_input import DATA, KNOWN
from conf.errors import DiscoveryError
from deploy.demo.tastes import World

SHARES = (0.25, 0.5, 0.9)
"""How much is lost: a quarter, half, nearly all."""
_WEEKS_OF_A_WORLD = 6


def main(argv: Sequence[str] | None = None, world: World | None = None) -> int:
    """Runs the command line; `world` is the demo's first world. Returns the exit code (see above)."""
    arguments = _parser().parse_args(argv)
    weeks: list[Healthy] = []
    losses: list[Planted] = []
    try:
        for past in _pasts(arguments, _demo_world(arguments.seed) if world is None else world):
            print(f"{past.name}: {len(past.runs) - 1} weeks …", file=sys.stderr)
            runs = list(walk(past))[-arguments.weeks or None :]
            weeks.append(healthy(past.name, runs))
            rng, with_snapshots = default_rng(arguments.seed), [run for run in runs if run.before.inputs.snapshots]
            losses += planted(past, runs, event_losses(tuple(past.events)), SHARES, rng)
            losses += planted(past, with_snapshots, snapshot_losses(), SHARES, rng)
    except DiscoveryError as error:
        print(f"gates: {error}", file=sys.stderr)
        return 1
    print("\n".join([*_healthy_table(weeks), "", *_losses_table(losses)]))
    if arguments.json:
        rows = {"healthy": [*map(dataclasses.asdict, weeks)], "planted": [*map(dataclasses.asdict, losses)]}
        print(json.dumps(rows))
    return 1 if any(row.added for row in weeks) else 0


def _pasts(arguments: argparse.Namespace, world: World) -> Iterator[Past]:
    for name in arguments.only:
        if name in KNOWN:
            yield real_past(name, arguments.data, arguments.weekday)
            continue
        for number in range(arguments.worlds):
            yield demo_past(dataclasses.replace(world, seed=world.seed + number))


def _demo_world(seed: int) -> World:
    days = FIRST_RUN + WEEK * (_WEEKS_OF_A_WORLD - 1)
    return World(users=10_000, sources=2_000, days=days, events=20_000 * days, seed=seed)


def _healthy_table(rows: Sequence[Healthy]) -> list[str]:
    lines = [f"{'healthy weeks':<20}{'weeks':>7}{'stopped by interactions':>25}{'by inputs':>18}{'by inputs only':>15}"]
    for row in rows:
        counts = (len(row.interactions), len(row.inputs), len(row.added))
        lines.append(f"{row.name:<20}{row.weeks:>7}{counts[0]:>25}{counts[1]:>18}{counts[2]:>15}")
        lines += [f"  {week}" for week in row.added]
    return lines


def _losses_table(rows: Sequence[Planted]) -> list[str]:
    """Returns one line per data set and kind of loss; worlds of one name are averaged."""
    lines = [f"{'stopped, by share lost: interactions → inputs':<60}" + "".join(f"{share:>15.0%}" for share in SHARES)]
    for name, kind in dict.fromkeys((row.name, row.kind) for row in rows):
        cells = ""
        for share in SHARES:
            same = [row for row in rows if (row.name, row.kind, row.share) == (name, kind, share)]
            old, new = (sum(getattr(row, of) for row in same) / len(same) for of in ("interactions", "inputs"))
            cells += f"{f'{old:.0%} → {new:.0%}':>15}"
        lines.append(f"{name + ' · ' + kind:<60}{cells}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description="What the first gate stops.")
    names = [*KNOWN, "demo"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the data")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of deck_cards.parquet, online_retail.parquet")
    parser.add_argument("--worlds", type=positive, default=3, help="generated worlds of the demo; default: 3")
    parser.add_argument("--weeks", type=positive, default=0, help="newest weeks of each that are judged; default: all")
    parser.add_argument(
        "--weekday", type=int, choices=range(7), default=0, help="of the runs over real data; 0: Monday"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the worlds and of what is lost")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
