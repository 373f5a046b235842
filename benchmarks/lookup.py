"""Times a look-up through the reader class beside a plain GET by the same client, on the lists that serve now.

    python -m benchmarks.lookup [--config conf/prod_discovery.yml] [--lookups 5000] [--rounds 5] [--json]

Needs REDIS_URL and a run that serves (`make up`, then the job). Both arms look up the same users in turns of 50; the
plain arm reads string keys with the same payloads, which are written before and deleted afterwards.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from conf.environment import Environment
from conf.errors import DiscoveryError
from conf.ids import UserId
from conf.load import load_settings
from publish.connect.redis_clients import StoreClient, redis_client
from publish.connect.store_scripts import as_bytes
from publish.operate.control import Control
from publish.read.reader import Reader

_PREFIX = "benchmark:lookup:"
_TURN = 50


class NothingServes(DiscoveryError):
    """No run of the product serves."""


def payloads_of(client: StoreClient, product: str, most: int) -> dict[UserId, bytes]:
    """Returns at most `most` users of the run that serves, with their payloads. Raises NothingServes."""
    serving = Control.connect(client, product).status().serving
    if serving is None or serving.announcement.users == 0:
        raise NothingServes(f"no lists of {product} serve; run `make up` and the weekly job first")
    announced, found = serving.announcement, dict[UserId, bytes]()
    for partition in range(announced.partitions):
        for key in announced.layout.bucket_keys(announced.run, partition):
            for user, payload in client.hgetall(key).items():
                name = as_bytes(user).decode()
                found[int(name) if announced.ids == "int64" else name] = as_bytes(payload)
        if len(found) >= most:
            break
    return dict(list(found.items())[:most])


def microseconds(ask: Callable[[UserId], object], users: Sequence[UserId]) -> "np.ndarray":
    """Returns the time of each call in µs."""
    times = np.empty(len(users))
    for index, user in enumerate(users):
        start = time.perf_counter_ns()
        ask(user)
        times[index] = time.perf_counter_ns() - start
    return times / 1_000


def measure(client: StoreClient, product: str, lookups: int, rounds: int) -> dict[str, float]:
    """Returns p50 and p99 of both arms in µs (medians over the rounds), and the ratio of the p99."""
    payloads = payloads_of(client, product, lookups)
    users, reader = list(payloads), Reader(client, product)
    for user, payload in payloads.items():
        client.set(f"{_PREFIX}{user}", payload)
    try:
        arms: dict[str, Callable[[UserId], object]] = {
            "reader": reader.lookup,
            "get": lambda user: client.get(f"{_PREFIX}{user}"),
        }
        percentiles: dict[str, list[np.ndarray]] = {name: [] for name in arms}
        for _ in range(rounds):
            times: dict[str, list[np.ndarray]] = {name: [] for name in arms}
            for start in range(0, len(users), _TURN):  # short turns, so that other load on the machine hits both arms
                for name, ask in arms.items():
                    times[name].append(microseconds(ask, users[start : start + _TURN]))
            for name, pieces in times.items():
                percentiles[name].append(np.percentile(np.concatenate(pieces), [50, 99]))
    finally:
        for user in users:
            client.delete(f"{_PREFIX}{user}")
    result: dict[str, float] = {"lookups": len(users), "rounds": rounds}
    for name, values in percentiles.items():
        p50, p99 = (statistics.median(column) for column in zip(*values, strict=True))
        result |= {f"{name}_p50_us": float(p50), f"{name}_p99_us": float(p99)}
    return result | {"p99_ratio": result["reader_p99_us"] / result["get_p99_us"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 when nothing serves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookup", description="Reader against plain GET.")
    parser.add_argument("--config", type=Path, default=Path("conf/prod_discovery.yml"))
    parser.add_argument("--lookups", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    try:
        client = redis_client(Environment.read().need_redis())
        result = measure(client, load_settings(arguments.config).product, arguments.lookups, arguments.rounds)
    except DiscoveryError as error:
        print(f"lookup: {error}", file=sys.stderr)
        return 2
    print(f"{'':<8}{'p50 µs':>10}{'p99 µs':>10}")
    for name in ("reader", "get"):
        print(f"{name:<8}{result[f'{name}_p50_us']:>10.0f}{result[f'{name}_p99_us']:>10.0f}")
    print(f"p99 of the reader ÷ p99 of GET: {result['p99_ratio']:.2f}")
    if arguments.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
