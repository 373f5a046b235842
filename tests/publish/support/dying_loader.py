"""Loaders as processes that end, or freeze, themselves at a point: `python -m … SERVERS URL SIGNAL PRODUCT=POINT…`.

Each says on stdout that it is there, and once it was woken up, what became of the call before which it froze.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer

import publish.load.loader
from conf.connections import KafkaConnection, RedisConnection
from publish.connect.redis_clients import redis_client
from publish.load.dead_letter_writer import DeadLetterQueue
from publish.load.loader import Loader, stop_on_signals
from publish.runs.lifecycle import RunLifecycle
from publish.runs.pointer import PointerStore
from publish.runs.registry import RunRegistry
from publish.store.redis_store import RedisStore

SESSION_SECONDS = 6
"""After that long the group gives the partitions of the dead and the frozen to others; a broker allows no less."""

Which = int | Callable[[Any], bool]
"""The number of a call, or what must be true of its reply."""

POINTS: dict[str, tuple[type, str, str, Which]] = {  # class, method, before, within or after the call, and which
    "before BEGIN": (RedisStore, "begin", "before", 2),
    "after BEGIN": (RedisStore, "begin", "after", 2),
    "before Lua": (RedisStore, "load_batches", "before", 3),
    "before the first Lua": (RedisStore, "load_batches", "before", 1),
    "after Lua": (RedisStore, "load_batches", "after", 2),
    "before verify": (RunLifecycle, "fault_at_end", "before", 2),
    "in verify": (RunLifecycle, "fault_at_end", "within", 2),
    "before VERIFIED": (RedisStore, "mark_verified", "before", 2),
    "after a VERIFIED": (RedisStore, "mark_verified", "after", 1),
    "after the last VERIFIED": (RedisStore, "mark_verified", "after", 3),
    "between READY and promote": (RunRegistry, "ready", "after", 1),
    "swapped, not in Kafka": (PointerStore, "_swapped", "after", lambda pointer: pointer and pointer.rev > 1),
    "after the swap": (PointerStore, "change", "after", lambda pointer: pointer.rev > 1),
    "a letter sent, not counted": (DeadLetterQueue, "dead_letter", "after", 1),
    "FAILED, not fenced": (RedisStore, "fence", "before", 1),
}


def arm(point: str, number: signal.Signals) -> None:
    """Have this process signal itself when it comes to the point."""
    kind, name, when, which = POINTS[point]
    original, calls = getattr(kind, name), iter(range(1, 10**9))

    def strike() -> None:
        os.kill(os.getpid(), number)
        time.sleep(1)  # until the signal has reached every thread

    def method(*args: Any, **named: Any) -> Any:
        if callable(which):
            reply = original(*args, **named)
            if which(reply):
                strike()
            return reply
        if next(calls) != which:
            return original(*args, **named)
        if when == "before":
            strike()
        if when == "within":
            args, named = _with_pause(strike, args, named)
        reply = original(*args, **named)
        if when == "before":
            print("went on:", reply, flush=True)
        if when == "after":
            strike()
        return reply

    setattr(kind, name, method)


def _with_pause(
    strike: Callable[[], None], args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments with `strike` for what is called every few thousand users."""
    swap = [strike if callable(arg) else arg for arg in args]
    return tuple(swap), {name: strike if callable(value) else value for name, value in named.items()}


def load(servers: str, url: str, number: str, product: str, point: str) -> None:
    """Load until told to stop, or until the point."""
    arm(point, signal.Signals[number])
    brief = {"session.timeout.ms": SESSION_SECONDS * 1_000, "heartbeat.interval.ms": 1_000}
    publish.load.loader.Consumer = lambda settings: Consumer({**settings, **brief})  # type: ignore[misc]
    loader = Loader(KafkaConnection(servers=servers), redis_client(RedisConnection.of(url)), product)
    print("loading", flush=True)
    loader.run(stop_on_signals())


def main(servers: str, url: str, number: str, *victims: str) -> None:
    """One loader per victim, each in a process of its own; ends when the last of them has."""
    children = []
    for victim in victims:
        child = os.fork()  # of a process without threads: what takes long, importing, is done once
        if child == 0:
            load(servers, url, number, *victim.split("="))
            os._exit(0)
        children.append(child)
    for child in children:
        _, ended = os.waitpid(child, 0)
        print("ended by", os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
