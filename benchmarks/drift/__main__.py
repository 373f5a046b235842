"""Measures the drift gates: healthy weeks that they stop, and how small a change they see.

    python -m benchmarks.drift [--only NAME …] [--years 200] [--heavy 0] [--seed 1] [--worlds 1] [--weeks 27]
                               [--data-root ../shared/data] [--json]

healthy    healthy runs stopped per year on generated products, by our rule and by those of NannyML and popmon; with
           `--heavy 0.25` a quarter of the shares and means has heavy tails (Student's t, 4 degrees of freedom)
power      share of weeks in which a change of one count is seen, beside popmon's rule with as many false alarms
planted    every fault of `benchmarks.drift.corruptions` in the newest week of generated worlds: what it costs, whether
           the gates stop it, and whether the dataset at fault is named first (ten minutes a world)
real       weekly runs over deck_cards and online_retail: healthy weeks that statistics of days stop, and the share of
           weeks in which faults of the new one are seen

Ends with 1 when our rule stops more than 1.3 healthy runs a year, at the upper end of a 95 % interval, or fewer than
95 % of the harmful faults.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from benchmarks.arguments import positive, share
from benchmarks.drift.corruptions import CORRUPTIONS
from benchmarks.drift.generated import OURS, Power, Rate, healthy, power
from benchmarks.drift.planted import SMALL, Planted, planted, world_of
from benchmarks.drift.real import RealWeeks, real
from benchmarks.real_input import DATA, KNOWN
from conf.load import load_settings
from conf.settings import SparkSettings
from deploy.chain import REPO

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOAL = 1.3
LEAST_STOPPED = 0.95
NAMES = ("healthy", "power", "planted", "real")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code (see above)."""
    arguments = _parser().parse_args(argv)
    rates = healthy(arguments.years, arguments.seed, heavy=arguments.heavy) if "healthy" in arguments.only else []
    curve = power(arguments.seed) if "power" in arguments.only else []
    faults, healthy_stopped = _planted(arguments) if "planted" in arguments.only else ([], [])
    weeks = _real(arguments) if "real" in arguments.only else []
    tables = [_rates_table(rates), _power_table(curve), _planted_table(faults, healthy_stopped), _real_table(weeks)]
    print("\n".join(line for lines in tables for line in lines))
    if arguments.json:
        rows = [{**dataclasses.asdict(one), "per_year": one.per_year, "upper": one.upper} for one in rates]
        planted_rows = [{**dataclasses.asdict(one), "harmful": one.harmful} for one in faults]
        power_rows = [*map(dataclasses.asdict, curve)]
        real_rows = [*map(dataclasses.asdict, weeks)]
        of_worlds = {"planted": planted_rows, "stopped": healthy_stopped}
        print(json.dumps({"healthy": rows, "power": power_rows, **of_worlds, "real": real_rows}))
    too_often = any(one.upper > GOAL for one in rates if one.rule == OURS)
    return int(too_often or stopped_share(faults) < LEAST_STOPPED)


def stopped_share(faults: Sequence[Planted]) -> float:
    """Returns the share of harmful faults that were stopped; 1 without any."""
    harmful = [one.stopped for one in faults if one.harmful]
    return sum(harmful) / len(harmful) if harmful else 1.0


def _real(arguments: argparse.Namespace) -> list[RealWeeks]:
    spark = _session(SparkSettings())
    found = [real(spark, name, arguments.data_root, arguments.every, arguments.seed) for name in KNOWN]
    spark.stop()
    return found


def _session(settings: SparkSettings) -> "SparkSession":
    from jobs.run.session import open_session  # here, because the others do without Spark

    return open_session("drift benchmark", settings)


def _planted(arguments: argparse.Namespace) -> tuple[list[Planted], list[str]]:
    names = [name for name, fault in CORRUPTIONS.items() if fault.needs != "weight"]  # these worlds have no weights
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as overlay:
        yaml.safe_dump(dict(SMALL), overlay)
        overlay.flush()
        settings = load_settings(REPO / "conf/prod_discovery.yml", (Path(overlay.name),))
    spark = _session(settings.spark)
    worlds = [world_of(arguments.seed + number, arguments.weeks) for number in range(arguments.worlds)]
    faults, stopped = list[Planted](), list[str]()
    for past, found in planted(spark, settings, worlds, arguments.weeks, names):
        faults += found
        stopped += past.stopped
    spark.stop()
    return faults, stopped


def _rates_table(rates: Sequence[Rate]) -> list[str]:
    if not rates:
        return []
    lines = [f"{'healthy runs stopped':<36}{'years':>6}{'stopped':>9}{'a year':>9}{'at most (95 %)':>16}"]
    for one in rates:
        lines.append(f"{one.rule:<36}{one.years:>6}{one.stopped:>9,}{one.per_year:>9.2f}{one.upper:>16.2f}")
    return [*lines, ""]


def _power_table(curve: Sequence[Power]) -> list[str]:
    if not curve:
        return []
    lines = [f"{'share of weeks in which a count is seen':<42}{'week-to-week noise':>18}{'ours':>8}{'popmon':>8}"]
    for one in curve:
        change = f"{one.part - 1:+.0%}".replace("%", " %")
        lines.append(f"{change:>12}{'':<30}{one.noise:>18.0%}{one.ours:>8.0%}{one.pull:>8.0%}")
    return lines


def _planted_table(faults: Sequence[Planted], healthy_stopped: Sequence[str]) -> list[str]:
    if not faults:
        return []
    head = f"{'fault':<44}{'NDCG':>7}{'in breach':>11}{'harmful':>9}{'stopped':>9}{'alarms':>8}  by"
    lines = ["", head]
    for one in sorted(faults, key=lambda fault: (fault.kind, fault.name, fault.seed)):
        cost = "–" if one.ndcg is None else f"{one.ndcg:.3f}"
        breach = "–" if one.in_breach is None else f"{one.in_breach:.1%}".replace("%", " %")
        words = (_yes(one.harmful), _yes(one.stopped))
        lines.append(f"{one.name:<44}{cost:>7}{breach:>11}{words[0]:>9}{words[1]:>9}{one.alarms:>8}  {one.by}")
    one_origin = [one for one in faults if one.stopped and one.named and len(one.datasets) == 1]
    right = sum(one.named in one.datasets for one in one_origin)
    harmful = sum(one.harmful for one in faults)
    return [
        *lines,
        f"harmful faults stopped: {stopped_share(faults):.0%} of {harmful}".replace("%", " %"),
        f"the dataset at fault named first: {right} of {len(one_origin)} faults of one dataset",
        f"healthy weeks stopped: {len(healthy_stopped)}{''.join(f', {week}' for week in healthy_stopped)}",
    ]


def _real_table(found: Sequence[RealWeeks]) -> list[str]:
    lines = []
    for one in found:
        lines.append(f"{one.name}: {len(one.stopped)} of {one.weeks} healthy weeks stopped: {', '.join(one.stopped)}")
        for fault, seen in one.seen.items():
            share = f"{sum(seen) / len(seen):.0%}".replace("%", " %")
            lines.append(f"  {fault:<28}seen in {share} of {len(seen)} weeks")
    return lines


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--years", type=positive, default=200, help="generated years of healthy runs")
    parser.add_argument("--heavy", type=share, default=0.0, help="part of the generated shares with heavy tails")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=positive, default=1, help="generated worlds in which faults are planted")
    parser.add_argument("--weeks", type=positive, default=27, help="weekly runs of each of them")
    parser.add_argument("--every", type=positive, default=3, help="faults are planted in every EVERYth real week")
    parser.add_argument("--data-root", type=Path, default=DATA, help="folder of the real data")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
