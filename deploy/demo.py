"""`make demo`: a generated world through the whole chain, on real servers, judged against what was planted.

Starts Kafka and Redis, generates the world, starts the loader, runs `spark-submit jobs/prod_discovery.py`, reads every
list back from Redis, and stops what it started, whatever happens.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from conf.errors import DiscoveryError
from deploy.demo_report import Demo, report
from deploy.demo_world import World, WorldSummary, generate
from deploy.errors import StackError
from deploy.local_stack import LocalStack
from deploy.processes import OwnerGuard, end_session, spawn, start_time
from deploy.service import REPO, shell_variables

CONFIG = REPO / "conf/prod_discovery.yml"
OVERLAY = REPO / "conf/overlays/demo.yml"


class DemoFailed(StackError):
    """A step of the demo did not do what it must."""


def main() -> int:
    """Runs the demo; 0 when the lists serve."""
    signal.signal(signal.SIGTERM, _interrupt)
    home = (Path(os.environ.get("DISCOVERY_HOME", "work")) / "demo").absolute()
    start = time.monotonic()
    try:
        shutil.rmtree(home, ignore_errors=True)
        _say("starting Kafka and Redis")
        with LocalStack(home) as stack:
            summary = _world(home)
            environment = {**os.environ, **shell_variables(home, stack.environment())}
            with _loader(environment, home / "loader.log"):
                run = _run_job(environment, home, World().as_of.isoformat())
            report(Demo(home, CONFIG, OVERLAY, run, summary, stack.environment()["REDIS_URL"]))
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return 130
    except (StackError, DiscoveryError) as error:
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


@contextmanager
def _loader(environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """The loader, a process of its own, for as long as the block runs; ends with its owner."""
    argv = [sys.executable, "-m", "jobs.cli", "load", "--config", str(CONFIG), "--overlay", str(OVERLAY)]
    process = spawn(argv, cwd=REPO, env=environment, log=log)
    guard = OwnerGuard(process.pid)
    try:
        yield
        if process.poll() is not None:
            raise DemoFailed(f"the loader ended early with exit code {process.returncode}: see {log}")
    finally:
        if process.poll() is None:
            end_session(process.pid, start_time(process.pid), seconds=20)
        guard.release()


def _run_job(environment: Mapping[str, str], home: Path, as_of: str) -> str:
    """Runs the weekly job as a person would, its log on this terminal; gives the run id."""
    argv = ["spark-submit", "jobs/prod_discovery.py", "--config", str(CONFIG), "--overlay", str(OVERLAY)]
    argv += ["--as-of", as_of, "--first"]
    _say(" ".join(argument.replace(f"{REPO}/", "") for argument in argv))
    job = subprocess.Popen(argv, cwd=REPO, env=environment, start_new_session=True)
    guard = OwnerGuard(job.pid)
    try:
        if job.wait() != 0:
            raise DemoFailed(f"the job ended with exit code {job.returncode}; its log is above, the loader's in {home}")
    finally:
        if job.poll() is None:
            end_session(job.pid, start_time(job.pid), seconds=20)
            job.wait()
        guard.release()
    manifests = sorted(home.glob("runs/*/*/manifest.json"))
    return str(json.loads(manifests[-1].read_text())["request"]["run_id"])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S', time.gmtime())} demo      {text}\n")


if __name__ == "__main__":
    sys.exit(main())
