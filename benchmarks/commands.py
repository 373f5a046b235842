"""Times `discovery status`, `lookup` and `--help` from start to end, beside a Python that only imports the libraries.

    python -m benchmarks.commands [--config conf/prod_discovery.yml] [--rounds 9] [--json]

Needs REDIS_URL, KAFKA_BOOTSTRAP_SERVERS and a run that serves (`make up`, then the job). Every command is a process of
its own; all take turns, so that other load on the machine hits each alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.arguments import positive
from benchmarks.lookup import payloads_of
from conf.environment import Environment
from conf.errors import DiscoveryError
from conf.load import load_settings
from publish.connect.redis_clients import redis_client

_YARDSTICK = "import redis, confluent_kafka, typer, pydantic"


class CommandFailed(DiscoveryError):
    """A command that is timed did not end well."""


def arms(config: Path) -> dict[str, list[str]]:
    """Returns the command lines by name, the yardstick first; raises NothingServes, StoreUnreachable, ConfigError."""
    product = load_settings(config).product
    (user,) = payloads_of(redis_client(Environment.read().need_redis()), product, 1)
    discovery = [sys.executable, "-m", "jobs.cli"]
    return {
        "imports": [sys.executable, "-c", _YARDSTICK],
        "status": [*discovery, "status", "--config", str(config)],
        "lookup": [*discovery, "lookup", "--config", str(config), "--", str(user)],
        "help": [*discovery, "--help"],
    }


def seconds(command: Sequence[str]) -> float:
    """Returns how long a process takes from start to end; raises CommandFailed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return taken


def measure(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Returns the median seconds of each command, after one round that nobody times."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            times[name].append(seconds(command))
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 when nothing serves or a command fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands", description="Commands from start to end.")
    parser.add_argument("--config", type=Path, default=Path("conf/prod_discovery.yml"))
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    try:
        medians = measure(arms(arguments.config), arguments.rounds)
    except DiscoveryError as error:
        print(f"commands: {error}", file=sys.stderr)
        return 2
    print(f"{'':<10}{'seconds':>8}{'÷ imports':>11}")
    for name, taken in medians.items():
        print(f"{name:<10}{taken:>8.2f}{taken / medians['imports']:>11.2f}")
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, **{f"{name}_s": taken for name, taken in medians.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
