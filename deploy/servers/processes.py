"""Child processes that end with their owner, and processes that outlive it on purpose."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

# Ctrl-C must not reach a server before its owner stops it in order, so every process here gets its own session.

_WATCH = (
    'read -r _; kill -TERM "$1"; '
    'for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$1" || exit 0; done; kill -KILL "$1"'
)


class OwnerGuard:
    """Ends a process when its owner has ended in any way, kill -9 included.

    The owner holds one end of a pipe, a small shell reads the other: the system closes the pipe when the owner ends.
    Unlike Linux's parent-death signal this does not depend on the thread that started the process.
    """

    def __init__(self, pid: int) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", _WATCH, "guard", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """Stops the guard; the process may then outlive its owner."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()


class LastingProcess(subprocess.Popen[bytes]):
    """A child that may outlive this process; dropping its object raises no ResourceWarning."""

    def __del__(self) -> None:
        """Forgets the child without `Popen`'s ResourceWarning."""


def spawn(
    argv: Sequence[str | Path], *, cwd: Path | None, env: Mapping[str, str], log: Path, keep_open: Sequence[int] = ()
) -> LastingProcess:
    """Starts a process in a session of its own; its output is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return LastingProcess(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
        )


def start_time(pid: int) -> float:
    """Returns when the process started (seconds since the epoch); pid and start time identify a process."""
    return psutil.Process(pid).create_time()


def is_alive(pid: int, started: float) -> bool:
    """Returns whether the process still runs; a zombie or another process with the same pid does not count."""
    try:
        process = psutil.Process(pid)
        # The clock may have been set meanwhile, which moves what psutil computes by as much.
        return abs(process.create_time() - started) < 5 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_session(pid: int, started: float, *, seconds: float) -> None:
    """Sends SIGTERM to a process of `spawn` and its children, and SIGKILL to what still runs after `seconds`."""
    if is_alive(pid, started):
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(pid, number)
            deadline = time.monotonic() + seconds
            while is_alive(pid, started) and time.monotonic() < deadline:
                time.sleep(0.05)
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def tail(path: Path, lines: int = 20) -> str:
    """Returns the last lines of a log file, or "(no log)"."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
