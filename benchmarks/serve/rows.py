"""What is measured, row by row."""

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from benchmarks.serve.load import Load, load, paths_of
from benchmarks.serve.logged import broker_gone, log_on_and_off
from benchmarks.serve.stage import Server, Stage, free_port

_PAUSE = 0.3


class Effort(NamedTuple):
    """How long and how much."""

    connections: int = 32
    seconds: float = 1.5
    rounds: int = 12
    alternations: int = 20
    """Of the services with and without the log of answers."""
    outage_seconds: float = 60.0
    """How long the broker is gone."""


def beside_plain_get(stage: Stage, effort: Effort) -> dict[str, Any]:
    """Ours in turns with the plain GET, by redis-py and by our own pipelines, all under the same load."""
    port = free_port()
    with ExitStack() as running:
        servers = {
            "ours": running.enter_context(stage.service(port)),
            "plain": running.enter_context(stage.plain(pipelined=False)),
            "pipelined": running.enter_context(stage.plain(pipelined=True)),
        }
        turns: dict[str, list[tuple[Load, float]]] = {name: [] for name in servers}
        for number in range(effort.rounds + 1):
            for name, server in servers.items():
                turn = _turn(stage, server, effort)
                if number:  # the first round warms up
                    turns[name].append(turn)
    result: dict[str, Any] = {"failures": sum(len(turn.failures) for each in turns.values() for turn, _ in each)}
    for name, each in turns.items():
        result[name] = {
            "requests_per_second": statistics.median(turn.per_second for turn, _ in each),
            "most_requests_per_second": max(turn.per_second for turn, _ in each),
            "p50_ms": statistics.median(turn.milliseconds(50) for turn, _ in each),
            "p99_ms": statistics.median(turn.milliseconds(99) for turn, _ in each),
            "cpu_us": statistics.median(seconds / len(turn.times) * 1e6 for turn, seconds in each),
        }
    for rival in ("plain", "pipelined"):
        pairs = list(zip(turns["ours"], turns[rival], strict=True))
        result[f"requests_ratio_{rival}"] = _median(lambda a, b: a.per_second / b.per_second, pairs)
        result[f"p99_ratio_{rival}"] = _median(lambda a, b: a.milliseconds(99) / b.milliseconds(99), pairs)
    return result


def replaced_under_load(stage: Stage, effort: Effort) -> dict[str, Any]:
    """Two instances on one port; under load, each is replaced by a new one, and no request may fail."""
    port = free_port()
    over = threading.Event()
    problems: list[BaseException] = []
    with ExitStack() as running:
        old = [running.enter_context(stage.service(port, "--reuse-port")) for _ in range(2)]

        def replace() -> None:
            try:
                for server in old:
                    time.sleep(_PAUSE)
                    new = running.enter_context(stage.started(port, "--reuse-port"))
                    new.wait_until_said(" at http://")
                    time.sleep(_PAUSE)
                    server.terminate()
                    server.process.wait(60)
                time.sleep(_PAUSE)
            except BaseException as error:  # noqa: BLE001  # told below, in the main thread
                problems.append(error)
            finally:
                over.set()

        replacing = threading.Thread(target=replace)
        replacing.start()
        found = load(
            port,
            paths_of(b"/v1/lists/", stage.users),
            connections=effort.connections,
            seconds=_PAUSE,
            until=over.is_set,
        )
        replacing.join()
    if problems:
        raise problems[0]
    return {
        "requests": len(found.times) + len(found.failures),
        "failed": len(found.failures),
        "failures": sorted(set(found.failures)),
        "connections": found.connections,
        "exit_codes": [server.process.returncode for server in old],
    }


def _turn(stage: Stage, server: Server, effort: Effort) -> tuple[Load, float]:
    before = server.cpu_seconds()
    found = load(
        server.port,
        paths_of(b"/v1/lists/", stage.users),
        connections=effort.connections,
        seconds=effort.seconds,
    )
    return found, server.cpu_seconds() - before


def _median(
    ratio: Callable[[Load, Load], float], pairs: list[tuple[tuple[Load, float], tuple[Load, float]]]
) -> dict[str, float]:
    ratios = sorted(ratio(ours, theirs) for (ours, _), (theirs, _) in pairs)
    return {"median": statistics.median(ratios), "least": ratios[0], "most": ratios[-1]}


def exposure_log(stage: Stage, effort: Effort) -> dict[str, Any]:
    """What the log of answers costs a look-up."""
    return log_on_and_off(
        stage, seconds=effort.seconds, connections=effort.connections, alternations=effort.alternations
    )


def broker_away(stage: Stage, effort: Effort) -> dict[str, Any]:
    """The broker is killed under load, and comes back."""
    return broker_gone(stage, outage_seconds=effort.outage_seconds)


ROWS: dict[str, Callable[[Stage, Effort], dict[str, Any]]] = {
    "plain-get": beside_plain_get,
    "exposure-log": exposure_log,
    "broker-gone": broker_away,
    "replaced": replaced_under_load,
}
