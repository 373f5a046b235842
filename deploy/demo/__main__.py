"""`make demo`: runs the whole chain on a generated world and real servers, and judges the lists it served.

Starts Kafka and Redis, generates the world, starts the loader, runs `spark-submit jobs/prod_discovery.py`, reads every
list back from Redis, starts the look-up service, through which users of the world get their lists and answer them, and
stops what it started, whatever happens.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from conf.errors import DiscoveryError
from deploy.chain import REPO, ProductFiles, job_command, run_job, running_loader
from deploy.demo.answering import answer
from deploy.demo.report import Demo, report
from deploy.demo.tastes import World
from deploy.demo.world import WorldSummary, generate
from deploy.environment import shell_variables
from deploy.servers.local_stack import LocalStack

PRODUCT = ProductFiles(REPO / "conf/prod_discovery.yml", (REPO / "conf/overlays/demo.yml",))


def main() -> int:
    """Runs the demo. Returns the exit code: 0 when the lists serve."""
    signal.signal(signal.SIGTERM, _interrupt)
    home = (Path(os.environ.get("DISCOVERY_HOME", "work")) / "demo").absolute()
    start = time.monotonic()
    try:
        shutil.rmtree(home, ignore_errors=True)
        _say("starting Kafka and Redis")
        with LocalStack(home) as stack:
            summary = _world(home)
            environment = {**os.environ, **shell_variables(home, stack.environment(), PRODUCT.config)}
            with running_loader(PRODUCT, environment, home / "loader.log"):
                run = _run_job(PRODUCT, environment, home)
            report(Demo(home, PRODUCT, run, summary, stack.environment()["REDIS_URL"]))
            _say("starting the look-up service; the users of the day look their lists up and react")
            sys.stdout.write(answer(PRODUCT, environment, home).text())
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return 130
    except DiscoveryError as error:
        _say(f"failed: {error}")
        return 1
    _say(f"make demo: the lists of run {run} served; all stopped after {time.monotonic() - start:.0f} s")
    return 0


def _world(home: Path) -> WorldSummary:
    _say("generating the demo world")
    begin = time.monotonic()
    summary = generate(home / "data", World())
    _say(
        f"  {summary.users:,} users · {summary.sources:,} sources · {summary.events:,} events "
        f"in {time.monotonic() - begin:.0f} s"
    )
    return summary


def _run_job(product: ProductFiles, environment: Mapping[str, str], home: Path) -> str:
    """Runs the weekly job with its log on this terminal. Returns the run id."""
    command = job_command(product, "--as-of", World().as_of.isoformat(), "--first")
    _say(" ".join(word.replace(f"{REPO}/", "") for word in command))
    run_job(command, environment)
    manifests = sorted(home.glob("runs/*/*/manifest.json"))
    return str(json.loads(manifests[-1].read_text())["request"]["run_id"])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S', time.gmtime())} demo      {text}\n")


if __name__ == "__main__":
    sys.exit(main())
