"""What the statistics of experiments promise, measured on generated users beside rivals.

    python -m benchmarks.experiment [--only coverage looks …] [--rounds 10000] [--seed 1] [--json]

Everything is seeded. 10,000 rounds of all take an hour and a half of one core, most of it coverage; ramps and the
planted paradox take a tenth of the rounds, wins inside ramps half of them. `--json`: one object on the last line.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.arguments import positive
from benchmarks.experiment import coverage, looks, ramps, ratio

Part = Callable[[int, int], Iterator[Any]]

PARTS: Mapping[str, Part] = {
    "coverage": coverage.table,
    "looks": looks.false_wins,
    "width": lambda rounds, seed: looks.widths(),
    "mismatch": ratio.alarms,
    "ramps": lambda rounds, seed: ramps.ramps(max(1, rounds // 10), seed),
    "wins": lambda rounds, seed: ramps.wins(max(1, rounds // 2), seed),
    "simpson": lambda rounds, seed: iter([looks.simpson(max(2, rounds // 10), seed)]),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints each figure as soon as it is there."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=positive, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in asked.only:
        found[name] = []
        for row in PARTS[name](asked.rounds, asked.seed):
            sys.stdout.write(f"{name} · {row}\n")
            sys.stdout.flush()
            found[name].append(dataclasses.asdict(row))
    if asked.json:
        sys.stdout.write(json.dumps({"rounds": asked.rounds, "seed": asked.seed} | found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
