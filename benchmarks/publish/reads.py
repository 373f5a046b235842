"""Reads runs of several products that lie in one Redis, in turns."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import redis

from benchmarks.lookup import microseconds
from benchmarks.publish.world import GeneratedSnapshot
from conf.ids import UserId
from publish.read.reader import Reader
from publish.wire.announcement import Announcement

_ROUNDS = 9
_READS, _PIPELINE = 20_000, 500  # in each round
_LOOKUPS, _TURN = 5_000, 50
_GET, _PREFIX = "GET", "benchmark:buckets:"
Figures = dict[str, float]
Turns = dict[str, list[Figures]]
Runs = Mapping[str, Announcement]
"""Runs that serve, by the name of their arm."""


def read_in_turns(client: redis.Redis, runs: Runs, users: Sequence[UserId]) -> Turns:
    """Reads these users' lists, in 9 rounds. Returns name of the arm → figures by round."""
    copy_to_strings(client, next(iter(runs.values())), users[:_LOOKUPS])
    found: Turns = {name: [] for name in runs}
    for number, piece in enumerate(np.array_split(np.array(users), _ROUNDS)):
        order = list(runs) if number % 2 == 0 else list(runs)[::-1]
        reads = {name: measure_reads(client, runs[name], piece.tolist()) for name in order}
        latencies = measure_latencies(client, runs, users[:_LOOKUPS])
        for name in runs:
            found[name].append(reads[name] | latencies[name])
    return found


def copy_to_strings(client: redis.Redis, run: Announcement, users: Sequence[UserId]) -> None:
    """Stores the lists of these users as strings too, for GET."""
    for user in users:
        payload = client.hget(run.layout.bucket(run.run, *run.layout.place_of(user)), str(user))
        client.set(f"{_PREFIX}{user}", payload or b"")


def measure_latencies(client: redis.Redis, runs: Runs, users: Sequence[UserId]) -> dict[str, Figures]:
    """Looks users up through readers of each run's product, and with GET, in turns. Returns µs, and ratios to GET."""
    asks: dict[str, Callable[[UserId], object]] = {_GET: lambda user: client.get(f"{_PREFIX}{user}")}
    asks |= {name: Reader(client, run.product).lookup for name, run in runs.items()}
    times: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in asks}
    for start in range(0, len(users), _TURN):  # short turns, so that other load on the machine hits all arms
        for name, ask in asks.items():
            times[name].append(microseconds(ask, users[start : start + _TURN]))
    p50, p99 = (
        {name: float(np.percentile(np.concatenate(pieces), percent)) for name, pieces in times.items()}
        for percent in (50, 99)
    )
    return {
        name: {
            "p50_us": p50[name],
            "p50_ratio": p50[name] / p50[_GET],
            "p99_us": p99[name],
            "p99_ratio": p99[name] / p99[_GET],
        }
        for name in runs
    }


def measure_reads(client: redis.Redis, run: Announcement, users: Sequence[UserId]) -> Figures:
    """Reads these users' lists in pipelines. Returns µs within HGET, and µs of CPU of Redis in all, per list."""
    layout = run.layout
    places = [(layout.bucket(run.run, *layout.place_of(user)), str(user)) for user in users]
    client.config_resetstat()
    before = _cpu_seconds(client)
    for start in range(0, len(places), _PIPELINE):
        with client.pipeline(transaction=False) as pipe:
            for place in places[start : start + _PIPELINE]:
                pipe.hget(*place)
            pipe.execute()
    cpu, calls = _cpu_seconds(client) - before, client.info("commandstats")["cmdstat_hget"]
    return {"hget_us": float(calls["usec"] / calls["calls"]), "cpu_us": cpu / len(places) * 1e6}


def users_of(snapshot: GeneratedSnapshot) -> list[UserId]:
    """Returns 180,000 users, drawn with replacement; the same ones whatever the order of the snapshot is."""
    users = np.sort(np.concatenate([batch.column("user_id").to_numpy() for batch in snapshot.batches]))
    drawn: list[UserId] = np.random.default_rng(1).choice(users, _ROUNDS * _READS).tolist()
    return drawn


def _cpu_seconds(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user_main_thread"] + used["used_cpu_sys_main_thread"])
