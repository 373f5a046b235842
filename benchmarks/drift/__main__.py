"""Measures the drift gates: healthy weeks that they stop, and how small a change they see.

    python -m benchmarks.drift [--only NAME …] [--years 200] [--seed 1] [--json]

healthy    healthy runs stopped per year on generated products, by our rule and by those of NannyML and popmon
power      share of weeks in which a change of one count is seen, beside popmon's rule with as many false alarms

Ends with 1 when our rule stops more than 1.3 healthy runs a year, at the upper end of a 95 % interval.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

from benchmarks.arguments import positive
from benchmarks.drift.generated import OURS, Power, Rate, healthy, power

GOAL = 1.3
NAMES = ("healthy", "power")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code (see above)."""
    arguments = _parser().parse_args(argv)
    rates = healthy(arguments.years, arguments.seed) if "healthy" in arguments.only else []
    curve = power(arguments.seed) if "power" in arguments.only else []
    print("\n".join([*_rates_table(rates), *_power_table(curve)]))
    if arguments.json:
        rows = [{**dataclasses.asdict(one), "per_year": one.per_year, "upper": one.upper} for one in rates]
        print(json.dumps({"healthy": rows, "power": [*map(dataclasses.asdict, curve)]}))
    return int(any(one.upper > GOAL for one in rates if one.rule == OURS))


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--years", type=positive, default=200, help="generated years of healthy runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
