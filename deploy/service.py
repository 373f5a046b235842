"""`make up` and `make down`: a lasting broker, Redis and loader with a demo world, and the variables to export."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from conf.errors import DiscoveryError
from deploy.demo.tastes import World
from deploy.demo.world import generate
from deploy.environment import shell_variables
from deploy.servers.local_stack import down, running_environment, start_detached, up

DEFAULT = Path("conf/prod_discovery.yml")


def start(home: Path, config: Path) -> None:
    """Starts what is not running and prints the variables to export."""
    _say("starting Kafka and Redis …")
    up(home)
    if not (home / "data").exists():
        _say(f"generating the demo world in {home / 'data'} …")
        summary = generate(home / "data", World())
        _say(f"  {summary.users:,} users · {summary.sources:,} sources · {summary.events:,} events")
    variables = shell_variables(home, running_environment(home), config)
    loader = [sys.executable, "-m", "jobs.cli", "load", "--config", str(config)]
    name = "loader" if config.stem == DEFAULT.stem else f"loader-{config.stem}"  # each product has its own
    entry = start_detached(home, name, loader, variables, home / f"{name}.log")
    _say(f"broker, Redis and loader run (loader's log: {entry.log}); stop them with `make down`\n")
    for name, value in variables.items():
        sys.stdout.write(f'export {name}="{value.replace(os.environ["PATH"], "$PATH")}"\n')
    _say("\nthen, for example:")
    _say(f"  spark-submit jobs/prod_discovery.py --config {config} --as-of {World().as_of} --first")
    _say("  discovery status")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `up` or `down`. Returns the exit code: 0, 1 for an error (printed), 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m deploy.service", description="A lasting local stack.")
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("DISCOVERY_HOME", "work")))
    parser.add_argument("--config", type=Path, default=DEFAULT, help="the product whose loader to start")
    arguments = parser.parse_args(argv)
    home = arguments.home.absolute()
    try:
        if arguments.command == "up":
            start(home, arguments.config)
        else:
            stopped = ", ".join(entry.name for entry in down(home))
            _say(f"stopped {stopped}" if stopped else f"nothing runs in {home}")
    except DiscoveryError as error:
        _say(f"{arguments.command}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
