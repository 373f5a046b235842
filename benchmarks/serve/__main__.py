"""Measures the look-up service: beside a plain GET on the same stack, with and without the log of answers, while the
broker is gone, and replaced while under load.

    python -m benchmarks.serve [--only ROW …] [--rounds 12] [--seconds 1.5] [--connections 32] [--alternations 20]
                               [--outage 60] [--json]

A real Redis with 20,000 lists of 50 sources and scores; the measured server has a core of its own, Redis and the load
share the others. The arms take turns of a few seconds, and a ratio is the median over the rounds.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.serve.rows import ROWS, Effort
from benchmarks.serve.stage import stage
from conf.errors import DiscoveryError
from conf.text_table import table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 for an error, which is printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description="The look-up service, measured.")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=positive, default=Effort().rounds)
    parser.add_argument("--seconds", type=float, default=Effort().seconds, help="of one turn")
    parser.add_argument("--connections", type=positive, default=Effort().connections)
    parser.add_argument("--alternations", type=positive, default=Effort().alternations, help="with and without the log")
    parser.add_argument("--outage", type=float, default=Effort().outage_seconds, help="seconds without a broker")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(argv)
    effort = Effort(options.connections, options.seconds, options.rounds, options.alternations, options.outage)
    results: dict[str, Any] = {"cores": os.cpu_count(), **effort._asdict()}
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-serve-") as folder, stage(Path(folder)) as ready:
            for name in options.only:
                results[name] = ROWS[name](ready, effort)
                print(f"{name}\n{_SHOWN.get(name, _as_lines)(results[name])}\n", flush=True)
    except DiscoveryError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(results))
    return 0


def _plain_get(result: dict[str, Any]) -> str:
    names = {
        "ours": "discovery serve",
        "plain": "one GET by redis-py",
        "pipelined": "one GET through our pipelines",
    }
    rows = [
        (
            title,
            f"{result[name]['requests_per_second']:,.0f}",
            f"{result[name]['most_requests_per_second']:,.0f}",
            f"{result[name]['p50_ms']:.2f}",
            f"{result[name]['p99_ms']:.2f}",
            f"{result[name]['cpu_us']:.0f}",
            *(("", "") if name == "ours" else (_ratio(result, "requests", name), _ratio(result, "p99", name))),
        )
        for name, title in names.items()
    ]
    header = ("", "requests/s", "at most", "p50 ms", "p99 ms", "CPU µs", "ours ÷ it: requests/s", "p99")
    return f"{table(rows, header)}\nfailed requests: {result['failures']}"


def _ratio(result: dict[str, Any], what: str, rival: str) -> str:
    found = result[f"{what}_ratio_{rival}"]
    return f"{found['median']:.2f} ({found['least']:.2f} … {found['most']:.2f})"


def _as_lines(result: dict[str, Any]) -> str:
    return "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in result.items())


_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {"plain-get": _plain_get}

if __name__ == "__main__":
    sys.exit(main())
