"""Measures what metrics cost: look-ups and loading with metrics, and with programs that count nothing, in turns.

    python -m benchmarks.metrics_cost [--only lookup load] [--alternations 20] [--seconds 1.5] [--users 300000] [--json]

lookup: two services on the same core, each asked at the same steady pace; the one with metrics is scraped once a second
meanwhile (Prometheus would come every 15 s). load: a run of `--users` lists through a broker into Redis, by a loader
whose metrics are scraped once a second, and by one without. A ratio is the median over the pairs of turns, on ÷ off,
with the 95 % interval of the mean of its logarithms.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.publish.push import Load, Push, Servers, measure_slices
from benchmarks.publish.world import ListShape, make_snapshot
from benchmarks.serve.logged import Paced, at_percentile, interval, paced, turns, until
from benchmarks.serve.stage import Stage, free_port, stage
from conf.errors import DiscoveryError
from conf.load import load_settings
from deploy.chain import REPO
from deploy.environment import shell_variables
from deploy.servers.kafka_broker import KafkaBroker
from deploy.servers.redis_server import RedisServer

ON, OFF = "jobs.cli", "benchmarks.without_metrics"
_CONFIG = REPO / "conf/prod_discovery.yml"
_SCRAPE_SECONDS = 1.0
_END_SECONDS = 60.0
GOALS = {"lookup_p50_ratio": 1.05, "load_ratio": 0.97}


@contextmanager
def scraped(port: int) -> Iterator[None]:
    """Scrapes a program each second during the block."""
    over = threading.Event()

    def scrape() -> None:
        while not over.is_set():
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as it,
            ):
                it.read()
            over.wait(_SCRAPE_SECONDS)

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look_ups(ready: Stage, alternations: int, seconds: float) -> dict[str, Any]:
    """Returns percentiles and CPU of look-ups with metrics ÷ without."""
    found: dict[str, list[Paced]] = {"on": [], "off": []}
    with ready.service(free_port(), program=ON) as on, ready.service(free_port(), program=OFF) as off:
        arms = {"on": on, "off": off}
        cpu: dict[str, list[float]] = {name: [] for name in arms}
        for number in range(alternations + 1):
            for name in turns(arms, number):
                before = arms[name].cpu_seconds()
                with scraped(on.port) if name == "on" else contextlib.nullcontext():
                    turn = paced(ready, arms[name], until(time.monotonic() + seconds))
                if number:  # the first round warms up
                    found[name].append(turn)
                    cpu[name].append((arms[name].cpu_seconds() - before) / max(1, len(turn.times)))
    pairs = list(zip(found["on"], found["off"], strict=True))
    ratios = {q: [at_percentile(one, q) / at_percentile(other, q) for one, other in pairs] for q in (50, 99)}
    return {
        "failures": sum(len(turn.failures) for each in found.values() for turn in each),
        "look_ups_per_turn": int(statistics.median(len(turn.times) for turn in found["on"])),
        "p50_off_ms": statistics.median(at_percentile(turn, 50) for turn in found["off"]) * 1e3,
        "lookup_p50_ratio": statistics.median(ratios[50]),
        "lookup_p50_interval_95": interval(ratios[50]),
        "lookup_p99_ratio": statistics.median(ratios[99]),
        "lookup_cpu_ratio": statistics.median(a / b for a, b in zip(cpu["on"], cpu["off"], strict=True)),
    }


@dataclass
class MeasuredPush(Push):
    """A push whose loader counts or does not."""

    counts: bool = True

    @contextmanager
    def loader(self) -> Iterator[int]:
        """Runs a loader during the block and yields its pid; one that counts is scraped."""
        home = self.servers.home
        overlay, port = home / f"{self.product}.yml", free_port()
        overlay.write_text(f"product: {self.product}\n")
        addresses = {**self.servers.broker.environment, **self.servers.store.environment}
        variables = {**os.environ, **shell_variables(home, addresses, self.servers.config)}
        argv = [sys.executable, "-m", ON if self.counts else OFF, "load", "--config", str(self.servers.config)]
        argv += ["--overlay", str(overlay), *(["--metrics-port", str(port)] if self.counts else [])]
        with (home / f"{self.product}.log").open("wb") as log:
            process = subprocess.Popen(argv, env=variables, cwd=REPO, stdout=log, stderr=log)
        try:
            with scraped(port) if self.counts else contextlib.nullcontext():
                yield process.pid
        finally:
            process.terminate()
            process.wait(_END_SECONDS)


def loads(folder: Path, alternations: int, users: int) -> dict[str, Any]:
    """Returns speed and CPU of loading with metrics ÷ without."""
    settings = load_settings(_CONFIG).publish
    snapshot = make_snapshot(ListShape("50 ids", 50, snowflake=False), users, settings)
    slices, _ = measure_slices(snapshot)
    found: dict[str, list[Load]] = {"on": [], "off": []}
    broker = KafkaBroker(folder / "kafka", fast_start=False, heap_mb=1_024)
    with broker, RedisServer(folder / "redis", maxmemory="4gb") as store:
        servers = Servers(folder, broker, store, _CONFIG)
        for number in range(alternations + 1):
            for name in turns(found, number):
                push = MeasuredPush(servers, snapshot, f"cost{number}{name}", slices, counts=name == "on")
                try:
                    run = push.announce()
                    push.send(run)
                    load = push.load(run)
                finally:
                    push.close()
                if number:  # the first round warms up
                    found[name].append(load)
    pairs = list(zip(found["on"], found["off"], strict=True))
    ratios = [off.seconds / on.seconds for on, off in pairs]
    return {
        "users": users,
        "off_lists_per_second": users / statistics.median(load.seconds for load in found["off"]),
        "load_ratio": statistics.median(ratios),
        "load_interval_95": interval(ratios),
        "load_cpu_ratio": statistics.median(on.loader_cpu / off.loader_cpu for on, off in pairs),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 for an error, which is printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics_cost", description="What metrics cost.")
    parser.add_argument("--only", nargs="+", choices=("lookup", "load"), default=("lookup", "load"))
    parser.add_argument("--alternations", type=positive, default=20)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one turn of look-ups")
    parser.add_argument("--users", type=positive, default=300_000, help="lists that are loaded in one turn")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args(argv)
    results: dict[str, Any] = {"cores": os.cpu_count(), "alternations": options.alternations}
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-metrics-") as folder:
            if "lookup" in options.only:
                with stage(Path(folder)) as ready:
                    results |= look_ups(ready, options.alternations, options.seconds)
            if "load" in options.only:
                home = Path(folder) / "load"
                home.mkdir()
                results |= loads(home, options.alternations, options.users)
    except DiscoveryError as error:
        print(f"metrics_cost: {error}", file=sys.stderr)
        return 1
    for name, value in results.items():
        goal = f"   (goal {'≤' if name.startswith('lookup') else '≥'} {GOALS[name]})" if name in GOALS else ""
        print(f"{name.replace('_', ' ')}: {value}{goal}")
    if options.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
