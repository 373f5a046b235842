"""Whether an explanation is true, whether its causes are causes, and what a look at a user costs.

    python -m benchmarks.explain [--only look faithful cause] [--users 1000000] [--sources 1000000] [--events 24000000]
        [--factors 64] [--looks 200] [--asked 1000] [--data ../shared/data]

look: a made run at the size of production, and looks in a process of its own. Two processes look, one after the other:
the first makes the copies that later ones find. Neither asks Redis or Kafka.
faithful: real interactions trained on, listed and loaded into a real Redis; --asked users.
cause: three interactions of --asked users of real data are taken away, and the user is folded in anew.
Ends with 2 when data are missing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.arguments import positive
from benchmarks.explain import cause, faithful
from benchmarks.explain.world import Size, make_world
from benchmarks.real_input import DATA
from conf.errors import DiscoveryError
from jobs.storage.store import Storage

_SIZES = {
    "users": 10**6,
    "sources": 10**6,
    "events": 24 * 10**6,
    "factors": 64,
    "looks": 200,
    "asked": 1000,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, and prints each figure as soon as it is there. Returns the exit code: 0, or 2 when data are missing."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["look"])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with NAME.parquet")
    for name, usual in _SIZES.items():
        parser.add_argument(f"--{name}", type=positive, default=usual)
    asked = parser.parse_args(arguments)
    try:
        for name in asked.only:
            for line in PARTS[name](asked):
                sys.stdout.write(f"{name} · {line}\n")
                sys.stdout.flush()
    except DiscoveryError as error:
        sys.stderr.write(f"explain: {error}\n")
        return 2
    return 0


def _look(asked: argparse.Namespace) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        users = make_world(Storage(home), Size(asked.users, asked.sources, asked.events, asked.factors, asked.looks))
        for what in ("copies are made", "copies are there"):
            command = [sys.executable, "-m", "benchmarks.explain.look", home]
            done = subprocess.run(command, input=json.dumps(users), text=True, capture_output=True, check=True)
            yield f"{what}: {done.stdout.strip()}"


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "look": _look,
    "faithful": lambda asked: faithful.table(asked.data, asked.asked, asked.factors),
    "cause": lambda asked: cause.table(asked.data, asked.asked, asked.factors),
}


if __name__ == "__main__":
    raise SystemExit(main())
