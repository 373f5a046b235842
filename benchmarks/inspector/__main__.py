"""Measures pages of the inspector on a made run as large as in production, and the same with pandas, in turns.

    python -m benchmarks.inspector [--users 1000000] [--sources 1000000] [--events 24000000] [--factors 64]
        [--looks 100] [--turns 3] [--json]

The pages come over HTTP from `discovery inspect`, a process of its own, which keeps copies from its first look on. The
rival, also a process, reads whole tables with pandas at each look. A turn is looks at users, a source and a comparison,
by the one and by the other; ratios are rival ÷ ours, medians. Memory is the peak of resident bytes, mapped files too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import redis
import yaml

from benchmarks.arguments import positive
from benchmarks.explain.world import BEFORE, PRODUCT, RUN, Size, make_world, settings
from benchmarks.peak_bytes import peak_bytes
from benchmarks.publish.push import cpu_seconds, measure_slices
from benchmarks.publish.world import ListShape, announcement_of, make_snapshot
from benchmarks.serve.stage import BenchmarkFailed, free_port
from conf.errors import DiscoveryError
from deploy.chain import REPO
from deploy.servers.redis_server import RedisServer
from jobs.storage.store import Storage
from publish.runs.registry import RunRegistry

GOALS = {"user_p95_s": 1.0, "user_peak_mib": 1024.0, "source_s": 2.0, "compare_s": 5.0}
_START_SECONDS = 120.0
_PATIENCE_SECONDS = 900.0
_ANNOUNCED = 64
"""Users of the announcement that Redis holds: so it knows a run, and may say who is forgotten."""


@dataclass
class Pages:
    """The inspector as a browser has it."""

    address: str
    pid: int

    def get(self, path: str) -> str:
        """Returns a page. Raises BenchmarkFailed for anything but a page."""
        try:
            with urllib.request.urlopen(f"{self.address}/p/{PRODUCT}/{path}", timeout=_PATIENCE_SECONDS) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise BenchmarkFailed(f"{path}: {error.code} {error.read().decode()[-2_000:]}") from None

    def peak_mib(self) -> float:
        """Returns the peak of its resident bytes."""
        return peak_bytes(self.pid) / 2**20


@dataclass
class Timed:
    """Seconds and CPU seconds of one kind of page, by each side."""

    first: float = 0.0
    ours: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rival: list[float] = field(default_factory=list)
    rival_cpu: list[float] = field(default_factory=list)
    agree: int = 0


def timed(pid: int, work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns what `work` returns, its seconds, and the CPU seconds that a process took for it."""
    cpu, start = cpu_seconds(pid), time.perf_counter()
    made = work()
    return made, time.perf_counter() - start, cpu_seconds(pid) - cpu


def path_of(page: str, about: int) -> str:
    """Returns the address of a page about a user or source."""
    if page == "compare":
        return f"compare?before={BEFORE}&after={RUN}"
    return f"{page}?id={about}&run={RUN}"


def says(page: str, text: str, made: Any) -> bool:
    """Returns whether a page says what the rival found."""
    if page == "user":
        return all(f">{source}</a>" in text for source in made)
    if page == "source":
        return (f": in {made:,} of" if made else ": in no list") in text
    return f"<h1>{100 * made:.3g} % of a list" in text


@contextmanager
def inspecting(home: Path) -> Iterator[Pages]:
    """Runs `discovery inspect` beside a Redis that knows the run, for the length of the block."""
    config, port = home / "product.yml", free_port()
    config.write_text(yaml.safe_dump(settings().model_dump(mode="json")))
    with RedisServer(home / "redis") as store, (home / "inspect.log").open("wb") as log:
        snapshot = make_snapshot(ListShape("10 ids", 10, snowflake=False), _ANNOUNCED, settings().publish)
        registry = RunRegistry(redis.Redis.from_url(store.url), PRODUCT)
        slices, layout = measure_slices(snapshot)[0], snapshot.layout(PRODUCT)
        registry.announce(announcement_of(snapshot, layout, slices, RUN, registry.next_epoch()))
        variables = {**os.environ, "DISCOVERY_HOME": str(home), "REDIS_URL": store.url}
        argv = [sys.executable, "-m", "jobs.cli", "inspect", "--config", str(config), "--port", str(port)]
        process = subprocess.Popen(argv, env=variables, cwd=REPO, stdout=log, stderr=log)
        try:
            yield _answering(process, f"http://127.0.0.1:{port}", Path(log.name))
        finally:
            process.terminate()
            process.wait()


def _answering(process: "subprocess.Popen[bytes]", address: str, log: Path) -> Pages:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/style.css", timeout=_START_SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return Pages(address, process.pid)
    raise BenchmarkFailed(f"discovery inspect does not answer: {log.read_text()[-2_000:]}")


class Rival:
    """The process that reads whole tables."""

    def __init__(self, home: Path) -> None:
        argv = [sys.executable, "-m", "benchmarks.inspector.pandas_looks", str(home)]
        self._process = subprocess.Popen(argv, cwd=REPO, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid

    def look(self, page: str, about: int) -> Any:
        """Returns what it found."""
        assert self._process.stdin is not None, "it has pipes"
        assert self._process.stdout is not None, "it has pipes"
        self._process.stdin.write(json.dumps([page, about]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


def measure(home: Path, size: Size, turns: int) -> dict[str, Any]:
    """Returns seconds, CPU and memory of each kind of page, and the rival's."""
    users = make_world(Storage(str(home)), size, before=True)
    sources = np.random.default_rng(size.seed).choice(size.sources, turns + 1).tolist()
    found = {page: Timed() for page in ("user", "source", "compare")}
    rival = Rival(home)
    try:
        with inspecting(home) as pages:
            peaks = {}
            for page, one in found.items():
                one.first = _first(pages, path_of(page, _about(page, users, sources, -1)))
                for turn in range(turns):
                    abouts = users[turn:-1:turns] if page == "user" else [_about(page, users, sources, turn)]
                    _turn(pages, rival, page, abouts, one)
                peaks[page] = pages.peak_mib()
    finally:
        rival.close()
    return _figures(found, peaks)


def _about(page: str, users: Sequence[int], sources: Sequence[int], turn: int) -> int:
    return users[turn] if page == "user" else sources[turn]


def _first(pages: Pages, path: str) -> float:
    return timed(pages.pid, partial(pages.get, path))[1]


def _turn(pages: Pages, rival: Rival, page: str, abouts: Sequence[int], into: Timed) -> None:
    for about in abouts:
        text, seconds, cpu = timed(pages.pid, partial(pages.get, path_of(page, about)))
        into.ours.append(seconds)
        into.cpu.append(cpu)
    made, seconds, cpu = timed(rival.pid, partial(rival.look, page, abouts[-1]))
    into.rival.append(seconds)
    into.rival_cpu.append(cpu)
    into.agree += says(page, text, made)


def _figures(found: dict[str, Timed], peaks: dict[str, float]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for page, one in found.items():
        ours, rival = statistics.median(one.ours), statistics.median(one.rival)
        figures |= {
            f"{page}_first_s": one.first,
            f"{page}_s": ours,
            f"{page}_p95_s": float(np.quantile(one.ours, 0.95)),
            f"{page}_cpu_s": statistics.median(one.cpu),
            f"{page}_peak_mib": peaks[page],
            f"{page}_rival_s": rival,
            f"{page}_ratio": rival / ours,
            f"{page}_cpu_ratio": statistics.median(one.rival_cpu) / max(statistics.median(one.cpu), 0.01),
            f"{page}_agree": f"{one.agree} of {len(one.rival)}",
        }
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 1 for an error, which is printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inspector", description=str(__doc__).partition("\n")[0])
    usual = {"users": 10**6, "sources": 10**6, "events": 24 * 10**6, "factors": 64, "looks": 100, "turns": 3}
    for name, value in usual.items():
        parser.add_argument(f"--{name}", type=positive, default=value)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    asked = parser.parse_args(arguments)
    size = Size(asked.users, asked.sources, asked.events, asked.factors, max(asked.looks, asked.turns + 1))
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-inspector-") as home:
            results = {"cores": os.cpu_count(), **measure(Path(home), size, asked.turns)}
    except DiscoveryError as error:
        print(f"inspector: {error}", file=sys.stderr)
        return 1
    for name, value in results.items():
        goal = f"   (goal ≤ {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name.replace('_', ' ')}: {value:.4g}{goal}" if isinstance(value, float) else f"{name}: {value}")
    if asked.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
