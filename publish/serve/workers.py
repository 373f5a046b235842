"""Several processes on one socket: a parent that starts them, starts those anew that died, and passes signals on."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

from prometheus_client import multiprocess

_LOG = logging.getLogger(__name__)
_FORK = multiprocessing.get_context("fork")  # a worker starts within milliseconds; the parent has no threads or clients
_LOOK_SECONDS = 0.5
_TOO_SOON = 1.0


class Workers:
    """Keeps `count` processes running `work`, whose argument is a file that ends when the parent does."""

    def __init__(self, count: int, work: Callable[[int], None], *, end_seconds: float) -> None:
        """`end_seconds`: the time that a worker has to end before it is killed."""
        self._work, self._end_seconds = work, end_seconds
        self._alive, self._held = os.pipe()
        self._workers: list[ForkProcess | None] = [None] * count
        self._begun: list[float] = [0.0] * count
        self._stopping: float | None = None

    def run(self, on_stop: Callable[[], None]) -> None:
        """Runs until a signal, then calls `on_stop`, passes the signal on and waits until every worker has ended."""
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
        told = False
        try:
            while self._stopping is None or any(worker is not None for worker in self._workers):
                if self._stopping is None:
                    self._start_missing()
                elif not told:
                    told = True
                    on_stop()
                self._wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start_missing(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker is None and time.monotonic() - self._begun[place] > _TOO_SOON:  # one that cannot start: slowly
                self._begun[place] = time.monotonic()
                self._workers[place] = self._start()

    def _start(self) -> ForkProcess:
        worker = _FORK.Process(target=self._run_worker)
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # none may meet a child that still has our handlers
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        return worker

    def _run_worker(self) -> None:
        os.setpgid(0, 0)  # a terminal sends Ctrl-C to the parent only, which passes it on once
        os.close(self._held)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        self._work(self._alive)

    def _wait(self) -> None:
        """Waits a moment for a worker to end; kills those that do not."""
        running = [worker for worker in self._workers if worker is not None]
        wait([worker.sentinel for worker in running], timeout=_LOOK_SECONDS)
        late = self._stopping is not None and time.monotonic() - self._stopping > self._end_seconds
        for place, worker in enumerate(self._workers):
            if worker is None:
                continue
            if late:
                worker.kill()
            if worker.exitcode is not None:
                self._ended(place, worker)

    def _ended(self, place: int, worker: ForkProcess) -> None:
        worker.join()
        self._workers[place] = None
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        if self._stopping is None:
            _LOG.warning(
                "serve     worker %s ended with exit code %s; another one takes its place", worker.pid, worker.exitcode
            )

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._stopping is None:
            self._stopping = time.monotonic()
        for worker in self._workers:
            if worker is not None and worker.pid is not None and worker.exitcode is None:
                os.kill(worker.pid, number)
