"""What the embedded servers share: a data folder, loopback ports, a log, starting and stopping."""

import fcntl
import logging
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from deploy.servers.errors import FolderInUse, ServerNotRunning, ServerStartFailed
from deploy.servers.ports import choose_ports
from deploy.servers.processes import LastingProcess, OwnerGuard, spawn, tail

_LOG = logging.getLogger(__name__)
_LET_GO_SECONDS = 20.0


class Startable(ABC):
    """Something to start and stop, also as a context manager."""

    @abstractmethod
    def start(self) -> None:
        """Starts everything and waits until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stops everything; does no harm when some or none of it runs."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class EmbeddedServer(Startable):
    """One server process on 127.0.0.1 whose data, ports and log stay in its folder from start to start.

    An attached server (the default) ends with the process that started it; a detached one outlives it.
    """

    name: ClassVar[str]
    port_count: ClassVar[int] = 1

    def __init__(self, folder: Path, *, detached: bool = False, start_seconds: float = 180, stop_seconds: float = 20):
        self.folder = folder.absolute()
        self.log = self.folder / "server.log"
        self._detached = detached
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._ports: tuple[int, ...] = ()
        self._process: LastingProcess | None = None
        self._guard: OwnerGuard | None = None

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The environment variables that hold the address of this server for clients."""

    @abstractmethod
    def _prepare(self) -> None:
        """Writes the files that the server needs in its folder before it starts; `ports` are known."""

    @abstractmethod
    def _command(self) -> list[str | Path]:
        """Returns the program and its arguments, to be run in the server's folder."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Returns whether the server answers a client."""

    def _environ(self) -> Mapping[str, str]:
        return os.environ

    @property
    def ports(self) -> tuple[int, ...]:
        """The loopback ports of the latest start."""
        if not self._ports:
            raise ServerNotRunning(f"{self.name} in {self.folder} has no address yet: start it first")
        return self._ports

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        if self._process is None:
            raise ServerNotRunning(f"{self.name} in {self.folder} does not run: start it first")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process that this object started still runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the server and waits until it answers. Raises ServerStartFailed with the end of its log."""
        try:
            self.launch()
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Starts the process without waiting for it to answer; does nothing when it runs already."""
        if self.is_running:
            return
        self._forget()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._folder_lock() as lock:
            self._ports = choose_ports(self.folder / "ports", self.port_count)
            self._prepare()
            self._process = spawn(
                self._command(), cwd=self.folder, env=self._environ(), log=self.log, keep_open=(lock,)
            )
        if not self._detached:
            self._guard = OwnerGuard(self._process.pid)

    def wait_until_ready(self) -> None:
        """Waits until a launched server answers. Raises ServerStartFailed when it ends or takes too long."""
        deadline = time.monotonic() + self._start_seconds
        while not self._is_ready():
            if not self.is_running:
                code = self._process.returncode if self._process else None
                raise ServerStartFailed(f"{self.name} ended with exit code {code} while it started; {self._log_end()}")
            if time.monotonic() > deadline:
                raise ServerStartFailed(f"{self.name} did not answer in {self._start_seconds:g} s; {self._log_end()}")
            time.sleep(0.05)
        _LOG.info("%s answers on 127.0.0.1:%d (pid %d)", self.name, self._ports[0], self.pid)

    def stop(self) -> None:
        """Sends SIGTERM, waits until the server has ended, and kills it when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            _LOG.warning("%s (pid %d) did not stop in %g s: killing it", self.name, self.pid, self._stop_seconds)
            self._process.kill()
        self._forget()

    def kill(self) -> None:
        """Ends the server with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
        self._forget()

    def _forget(self) -> None:
        """Reaps a process that has ended, or is about to, and releases its guard."""
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    @contextmanager
    def _folder_lock(self) -> Iterator[int]:
        """Yields a lock that the server inherits, so that it is held as long as a process uses the folder."""
        with (self.folder / "lock").open("a") as handle:
            if not _locked(handle.fileno()):
                raise FolderInUse(
                    f"another {self.name} uses {self.folder}: stop it first (for a detached one: "
                    "`python -m deploy.servers.local_stack down`), or choose another folder"
                )
            yield handle.fileno()

    def _log_end(self) -> str:
        return f"the end of {self.log}:\n{tail(self.log)}"


def _locked(file: int) -> bool:
    """Takes the lock. Returns whether it is free in time: a killed server holds it until its last thread ends."""
    deadline = time.monotonic() + _LET_GO_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True
