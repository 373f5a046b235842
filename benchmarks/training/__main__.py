"""Measures the cost of training, ours beside rivals in turns, against the goals.

    python -m benchmarks.training [--json] [--only NAME …] [--rounds 3] [--data-root ../shared/data] [--quick]

    iterations    seconds of an ALS iteration beside Spark ML's, deck_cards
    warm          a warm start from last week's factors beside a cold one, deck_cards
    matrix        Parquet → CSR beside toPandas + coo_matrix, seconds and memory
    refresh       the weekly features with kept daily partials beside a full recompute of 28 days
    aggregation   events → interactions beside DuckDB
    judging       all metrics for 100,000 users

Every arm has two cores. Figures are medians of the rounds. --quick runs everything on a small generated world in a
minute, to see that it works: its figures mean nothing. Ends with 1 when something is missing or arms disagree; a missed
goal is printed and is no failure.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.arguments import positive
from benchmarks.real_input import DATA
from benchmarks.training import aggregation, iterations, judging, matrix, refresh, warm
from benchmarks.training.plan import Plan, start_spark
from benchmarks.training.row import Row, table
from conf.errors import DiscoveryError

MEASURES: dict[str, Callable[[Plan], list[Row]]] = {
    "iterations": iterations.measure,
    "warm": warm.measure,
    "matrix": matrix.measure,
    "refresh": refresh.measure,
    "aggregation": aggregation.measure,
    "judging": judging.measure,
}


def main(argv: Sequence[str] | None = None, spark: Callable[[], SparkSession] = start_spark) -> int:
    """Runs the command line; `spark` opens the session when it is first needed. Returns the exit code: 0 or 1."""
    arguments = _parser().parse_args(argv)
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="discovery-training-") as folder:
            plan = Plan(arguments.data_root, Path(folder), arguments.rounds, arguments.quick, cache(spark))
            for name in dict.fromkeys(arguments.only):
                print(f"{name} …", file=sys.stderr)
                rows += MEASURES[name](plan)
    except DiscoveryError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    if arguments.json:
        print(json.dumps({"cores": os.cpu_count(), "quick": arguments.quick, "rows": [row.result() for row in rows]}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description="What training costs.")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=MEASURES, help="some of the measurements")
    parser.add_argument("--rounds", type=positive, default=3, help="turns of each arm; default: 3")
    parser.add_argument("--data-root", type=Path, default=DATA, help="folder of deck_cards.parquet")
    parser.add_argument("--quick", action="store_true", help="a small generated world; its figures mean nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
