"""The command line of a benchmark that measures each table of lists: which ones, and how the results are printed."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.publish.world import TABLES, ListShape
from conf.errors import DiscoveryError


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--tables` and `--json`."""
    sizes = [table.size for table in TABLES]
    parser.add_argument("--tables", type=int, nargs="+", choices=sizes, default=sizes, help="ids per list")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")


def measure_tables(
    name: str,
    options: argparse.Namespace,
    measure: Callable[[ListShape], dict[str, Any]],
    as_text: Callable[[dict[str, Any]], str],
) -> int:
    """Measures the tables and prints each result. Returns 0, or 1 for an error, printed under `name`."""
    results = []
    try:
        for table in (table for table in TABLES if table.size in options.tables):
            results.append(measure(table))
            print(as_text(results[-1]))
    except DiscoveryError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "tables": results}))
    return 0
