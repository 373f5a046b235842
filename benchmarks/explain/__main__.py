"""What a look at a user costs, at the size of production: a made run, and looks in a process of its own.

    python -m benchmarks.explain [--users 1000000] [--sources 1000000] [--events 24000000] [--factors 64] [--looks 200]

Two processes look, one after the other: the first makes the copies that later ones find. Neither asks Redis or Kafka.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.arguments import positive
from benchmarks.explain.world import Size, make_world
from jobs.storage.store import Storage


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the world, and prints what looks cost."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    for name, usual in {"users": 10**6, "sources": 10**6, "events": 24 * 10**6, "factors": 64, "looks": 200}.items():
        parser.add_argument(f"--{name}", type=positive, default=usual)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        users = make_world(Storage(home), Size(asked.users, asked.sources, asked.events, asked.factors, asked.looks))
        for what in ("copies are made", "copies are there"):
            command = [sys.executable, "-m", "benchmarks.explain.look", home]
            done = subprocess.run(command, input=json.dumps(users), text=True, capture_output=True, check=True)
            sys.stdout.write(f"{what}: {done.stdout}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
