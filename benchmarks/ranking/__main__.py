"""Times exact top-N beside other libraries and the bare matrix product, in turns.

    python -m benchmarks.ranking [--json] [--factors FILE.npz] [--n 20 100] [--rounds 5] [--users K]
        [--only NAME …] [--no-spark] [--check] [--scaling] [--plot docs/ranking.png] [--data ../shared/data]

Ranks real factors, trained once on the shared data and kept in the user's cache folder, and a million sources drawn
from them. Every arm is two single-threaded processes at once, with the same users and exclusions. A ratio is the median
of the rounds' ratios of time per user. RankedLists are compared with brute force in float64: 200 of each process, with
--check all. --scaling adds tables of more users and more sources, and --plot draws these.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ranking.factors import NAMES, FactorSet, named_set
from benchmarks.ranking.measure import FIRST, RankingPlan, measure
from benchmarks.ranking.scaling import check_can_draw, draw, measure_scaling
from benchmarks.ranking.table import as_text, footnote, scaling_text
from benchmarks.real_input import DATA
from conf.errors import DiscoveryError
from models.ranking.forms import FASTEST, FORMS

_CHECKED = 200
_BASE = "gowalla_64"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 when data are missing, an arm failed or a list is wrong."""
    arguments = _parser().parse_args(argv)
    plan = RankingPlan(
        tuple(dict.fromkeys(arguments.n)),
        arguments.rounds,
        with_spark=not arguments.no_spark,
        checked=None if arguments.check else _CHECKED,
    )
    form = next(name for name, walk in FORMS.items() if walk is FASTEST)
    result: dict[str, Any] = {"cores": os.cpu_count(), "form": form, "rows": [], "scaling": []}
    try:
        if arguments.plot:
            check_can_draw()
        for factors in _sets(arguments):
            for row in measure(factors, plan):
                result["rows"].append(row)
                print(as_text(row))
        print(footnote(FIRST))
        if arguments.scaling or arguments.plot:
            result["scaling"] = measure_scaling(_base(arguments), plan.ns[0], plan.rounds)
            print(scaling_text(result["scaling"]))
        if arguments.plot:
            draw(result["scaling"], arguments.plot)
    except DiscoveryError as error:
        print(f"ranking: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(result))
    return 0


def _sets(arguments: argparse.Namespace) -> Iterator[FactorSet]:
    if arguments.factors:
        yield _base(arguments)
        return
    for name in arguments.only:
        yield _cut(named_set(name, arguments.data), arguments.users)


def _base(arguments: argparse.Namespace) -> FactorSet:
    """Returns the set that the scaling tables are drawn from: the file's, or gowalla."""
    found = FactorSet.load(arguments.factors) if arguments.factors else named_set(_BASE, arguments.data)
    return _cut(found, arguments.users)


def _cut(factors: FactorSet, users: int | None) -> FactorSet:
    return factors if users is None else replace(factors.sample(users), name=factors.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking", description="Exact top-N and its yardsticks.")
    parser.add_argument("--factors", type=Path, help="an npz of users, sources, indptr, indices instead of ours")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="some of our sets")
    parser.add_argument("--n", type=int, nargs="+", default=(20, 100), help="lengths of lists")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, help="users of a set, drawn at random; default: all")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of deck_cards.parquet and gowalla.parquet")
    parser.add_argument("--no-spark", action="store_true", help="without Spark ML")
    parser.add_argument("--check", action="store_true", help="compare all users' lists with brute force")
    parser.add_argument("--scaling", action="store_true", help="users and sources ×1, ×4, ×16")
    parser.add_argument("--plot", type=Path, help="a PNG of users per second over sources; implies --scaling")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
