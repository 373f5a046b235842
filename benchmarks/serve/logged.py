"""What the log of answers costs a look-up, and what a broker that is gone costs: answers, and not one look-up."""

import re
import socket
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from benchmarks.serve.load import load, paths_of
from benchmarks.serve.stage import PRODUCT, Server, Stage, free_port
from conf.connections import KafkaConnection
from conf.load import load_settings
from conf.settings import PublishSettings
from deploy.servers.kafka_broker import KafkaBroker
from jobs.exposures.landing import Landing
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from publish.connect.topics import ensure_topics
from publish.wire.keys import ProductKeys

ALTERNATIONS = 20
OUTAGE_SECONDS = 60.0
_PER_SECOND = 900
_TURN_SECONDS = 1.0
_SATURATED = 6
"""Turns of each arm under as many requests as it can take."""
_PAUSE = 0.4
_METRIC = re.compile(r'^discovery_lookup_exposures_total\{.*what="(\w+)".*\} ([0-9.e+]+)$', re.MULTILINE)


class Paced(NamedTuple):
    """Requests at a steady pace, one at a time: seconds of each that was answered with 200, and the others."""

    times: list[float]
    failures: list[str]


def log_on_and_off(
    stage: Stage, *, seconds: float, connections: int, alternations: int = ALTERNATIONS
) -> dict[str, Any]:
    """Two services on the same core, one with the log, in turns under the same pace; then under all they can take."""
    with _broker(stage) as broker, _two(stage, broker) as arms:
        steady: dict[str, list[Paced]] = {name: [] for name in arms}
        full: dict[str, list[float]] = {name: [] for name in arms}
        for number in range(alternations + 1):
            for name in turns(arms, number):
                turn = paced(stage, arms[name], until(time.monotonic() + min(seconds, _TURN_SECONDS)))
                time.sleep(_PAUSE)  # what the log still sends must not fall into the other's turn
                if number:  # the first round warms up
                    steady[name].append(turn)
        for number in range(min(alternations, _SATURATED)):
            for name in turns(arms, number):
                paths = paths_of(b"/v1/lists/", stage.users)
                found = load(arms[name].port, paths, connections=connections, seconds=seconds)
                time.sleep(_PAUSE)
                full[name].append(found.per_second)
        counts = _settled(arms["on"])
    pairs = list(zip(steady["on"], steady["off"], strict=True))
    ratios = {q: [at_percentile(on, q) / at_percentile(off, q) for on, off in pairs] for q in (50, 99)}
    return {
        "alternations": len(pairs),
        "look_ups_per_turn": int(statistics.median(len(turn.times) for turn in steady["on"])),
        "failures": sum(len(turn.failures) for each in steady.values() for turn in each),
        "p50_off_ms": statistics.median(at_percentile(turn, 50) for turn in steady["off"]) * 1e3,
        "p50_ratio": statistics.median(ratios[50]),
        "p99_off_ms": statistics.median(at_percentile(turn, 99) for turn in steady["off"]) * 1e3,
        "p99_ratio": statistics.median(ratios[99]),
        "p99_ratio_interval_95": interval(ratios[99]),
        "requests_ratio_under_full_load": statistics.median(
            on / off for on, off in zip(full["on"], full["off"], strict=True)
        ),
        "exposures": counts,
    }


def broker_gone(stage: Stage, *, outage_seconds: float = OUTAGE_SECONDS) -> dict[str, Any]:
    """The broker is killed under load and comes back: no look-up fails, and each answer is delivered or counted."""
    (stage.folder / "gone.yml").write_text("exposures: {queue: 2000, delivery_timeout_seconds: 10}\n")
    with _broker(stage) as broker:
        kafka = KafkaConnection(servers=broker.bootstrap)
        flags = ("--exposures", "--overlay", str(stage.folder / "gone.yml"))
        with stage.service(free_port(), *flags, environment=stage.environment | broker.environment) as server:
            over = threading.Event()
            found: list[Paced] = []
            loading = threading.Thread(target=lambda: found.append(paced(stage, server, over.is_set)))
            loading.start()
            time.sleep(2)
            broker.kill()
            time.sleep(outage_seconds)
            broker.start()
            time.sleep(5)
            over.set()
            loading.join()
            counts = _settled(server)
            server.terminate()
            exit_code = server.process.wait(180)
        settings = load_settings(stage.config)
        store = LandingStore.of(Storage(str(stage.folder)), PRODUCT)
        landed = Landing(store, kafka, settings, clock=lambda: datetime.now(UTC)).land()
    writers = list(landed.state.writers.values())
    dropped = {name: number for name, number in counts.items() if name not in ("logged", "delivered") and number}
    return {
        "outage_seconds": outage_seconds,
        "look_ups": len(found[0].times) + len(found[0].failures),
        "failed_look_ups": len(found[0].failures),
        "logged": counts["logged"],
        "delivered": counts["delivered"],
        "dropped": dropped,
        "sum_holds": counts["logged"] == counts["delivered"] + sum(dropped.values()),
        "said_in_its_last_record": [{"logged": one.logged, "dropped": dict(one.dropped)} for one in writers],
        "landed": landed.found.landed,
        "missing_in_the_topic": sum(one.missing for one in writers),
        "exit_code": exit_code,
    }


def interval(ratios: list[float]) -> tuple[float, float]:
    """Returns the 95 % interval of the geometric mean of ratios, by 10,000 bootstrap samples."""
    logs = np.log(ratios)
    drawn = np.random.default_rng(1).choice(logs, (10_000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(drawn, [0.025, 0.975])).tolist()
    return low, high


@contextmanager
def _broker(stage: Stage) -> Iterator[KafkaBroker]:
    with KafkaBroker(stage.folder / f"kafka-{time.monotonic_ns()}", fast_start=False) as broker:
        ensure_topics(KafkaConnection(servers=broker.bootstrap), ProductKeys(PRODUCT), PublishSettings())
        yield broker


@contextmanager
def _two(stage: Stage, broker: KafkaBroker) -> Iterator[dict[str, Server]]:
    """Starts a service with the log and one without."""
    environment = stage.environment | broker.environment
    with stage.service(free_port(), "--exposures", environment=environment) as on:  # noqa: SIM117  # ports in turn
        with stage.service(free_port(), "--no-exposures", environment=environment) as off:
            yield {"on": on, "off": off}


def turns(arms: Iterable[str], number: int) -> list[str]:
    """Returns the arms, in the other order every other time."""
    names = list(arms)
    return names if number % 2 else names[::-1]


def until(deadline: float) -> Callable[[], bool]:
    """Returns what says whether that time (time.monotonic) is over."""
    return lambda: time.monotonic() > deadline


def paced(stage: Stage, server: Server, over: Callable[[], bool]) -> Paced:
    """Looks users up one after another at a steady pace until it is over, one user at least."""
    times: list[float] = []
    failures: list[str] = []
    due = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = 0
        while number == 0 or not over():
            user = stage.users[number % len(stage.users)]
            number += 1
            begun = time.perf_counter()
            connection.sendall(b"GET /v1/lists/%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % user)
            status = _answer(connection)
            if status == b"200":
                times.append(time.perf_counter() - begun)
            else:
                failures.append(status.decode())
            due = max(due + 1 / _PER_SECOND, time.perf_counter() - 0.1)
            time.sleep(max(0.0, due - time.perf_counter()))
    return Paced(times, failures)


def _answer(connection: socket.socket) -> bytes:
    """Returns the status of the next answer, when it is whole."""
    received = b""
    while (head := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    at = received.lower().index(b"content-length:") + len(b"content-length:")
    size = head + 4 + int(received[at : received.index(b"\r", at)])
    while len(received) < size:
        received += _more(connection)
    return received[9:12]


def _more(connection: socket.socket) -> bytes:
    found = connection.recv(65_536)
    if not found:
        raise ConnectionError("the service closed the connection")
    return found


def _counts(server: Server) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=60) as reply:
        return {what: int(float(number)) for what, number in _METRIC.findall(reply.read().decode())}


def _settled(server: Server) -> dict[str, int]:
    """Returns the counts when nothing waits any more, or as they are after two minutes."""
    deadline = time.monotonic() + 120
    while True:
        counts = _counts(server)
        if 2 * counts["logged"] == sum(counts.values()) or time.monotonic() > deadline:
            return counts
        time.sleep(0.2)


def at_percentile(turn: Paced, percentile: float) -> float:
    """Returns a percentile of the seconds of a turn's requests."""
    return float(np.percentile(turn.times, percentile))
