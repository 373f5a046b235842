"""Executes the faults of a push, each at its moment: kills, freezes and restarts the processes that the plan names."""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.crash.journal import Journal
from benchmarks.crash.operator import Operator
from benchmarks.crash.plan import ChaosPlan, Event
from benchmarks.crash.pushes import HuntedPush
from benchmarks.crash.stack import Service, Stack

_LOOK = 0.01


class Chaos:
    """Runs each event of a plan on a thread of its own; one event at a time for each victim."""

    def __init__(self, stack: Stack, operator: Operator, journal: Journal) -> None:
        self._stack, self._operator, self._journal = stack, operator, journal
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, plan: ChaosPlan, push: HuntedPush) -> None:
        """Starts the events of a push."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for event in plan.events:
            thread = threading.Thread(target=self._happen, args=(event, push), daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def is_over(self) -> bool:
        """Whether every event has ended and its process runs again."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Starts no more events and waits until every process runs again."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _happen(self, event: Event, push: HuntedPush) -> None:
        while not push.has_come_to(event.moment):
            if push.is_sent or self._stop.wait(_LOOK):
                return  # the push ended before this moment
        try:
            if event.victim == "operator":
                self._operator.order(event.action, event.draw)
            elif event.victim == "loader":
                self._hurt_service(event, self._stack.loaders[int(event.draw * len(self._stack.loaders))], push)
            elif event.victim == "publisher":
                self._hurt_service(event, push.publisher, push)
            else:
                self._hurt_server(event, push)
        except Exception as error:
            self._journal.violation("hunter", f"{event} could not be done or undone: {error!r}", push=push.number)
            raise

    def _hurt_service(self, event: Event, service: Service, push: HuntedPush) -> None:
        away = "loader away" if event.victim == "loader" else "publisher away"
        with service.lock, self._journal.window(away, tail=5):
            if service.ended is not None:
                return  # a publisher that has ended
            self._note(event, service.name, push)
            if event.action == "freeze":
                service.send(signal.SIGSTOP)
                self._stop.wait(event.seconds)
                service.send(signal.SIGCONT)
                return
            if event.victim == "publisher":
                service.send(signal.SIGKILL)  # the push starts it again
                return
            service.end(signal.SIGKILL if event.action == "kill" else signal.SIGTERM)
            self._stop.wait(event.seconds)
            service.start()
            self._journal.note(f"{service.name} started")

    def _hurt_server(self, event: Event, push: HuntedPush) -> None:
        name, server = event.victim, self._stack.server(event.victim)
        with self._stack.locks[name], ExitStack() as windows:
            self._note(event, name, push)
            windows.enter_context(self._journal.window(f"{name} away", tail=1))
            if event.action == "freeze":
                with self._stack.frozen(name):
                    self._stop.wait(event.seconds)
                self._journal.note(f"{name} goes on")
                return
            if name == "redis" and event.action != "restart":
                windows.enter_context(self._journal.window("setback"))
            ends: dict[str, Callable[[], None]] = {"kill": server.kill, "restart": server.stop}
            if event.action == "power":
                self._journal.note(f"redis lost {self._stack.lose_power(event.draw)} bytes of its last second")
            else:
                ends[event.action]()
            self._stop.wait(event.seconds)
            self._stack.start_again(name)
            self._journal.note(f"{name} is back")

    def _note(self, event: Event, name: str, push: HuntedPush) -> None:
        self._journal.count({"kill": "kills", "power": "kills", "freeze": "freezes"}.get(event.action, "restarts"))
        self._journal.count(f"{event.victim} {event.action}")
        far = f"{push.loaded:.0%} loaded, {push.verified} verified"
        self._journal.note(f"{event.action} {name} for {event.seconds:.1f} s in push {push.number} ({far})")
