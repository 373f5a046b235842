"""The two processes of a run on one machine: the loader, and the weekly job through spark-submit."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.servers.errors import StackError
from deploy.servers.processes import OwnerGuard, end_session, spawn, start_time, tail

REPO = Path(__file__).parent.parent


class ChainFailed(StackError):
    """The loader or the job ended with an error."""


@dataclass(frozen=True)
class Product:
    """A product's YAML and its overlays."""

    config: Path
    overlays: tuple[Path, ...] = ()

    @property
    def flags(self) -> list[str]:
        """As the job and `discovery` take them."""
        overlays = [word for overlay in self.overlays for word in ("--overlay", str(overlay))]
        return ["--config", str(self.config), *overlays]


@contextmanager
def running_loader(product: Product, environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Yields the loader for as long as the block runs; returns its pid; raises ChainFailed when it ended early."""
    argv = [sys.executable, "-m", "jobs.cli", "load", *product.flags]
    process = spawn(argv, cwd=REPO, env=environment, log=log)
    guard = OwnerGuard(process.pid)
    try:
        yield process.pid
        if process.poll() is not None:
            raise ChainFailed(f"the loader ended early with exit code {process.returncode}: see {log}")
    finally:
        if process.poll() is None:
            end_session(process.pid, start_time(process.pid), seconds=20)
        guard.release()


def job_command(product: Product, *flags: str) -> list[str]:
    """Returns the weekly job as a person types it, from the repository's folder."""
    return ["spark-submit", "jobs/prod_discovery.py", *product.flags, *flags]


def run_job(command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> None:
    """Runs it to its end, its log on this terminal or in `log`; raises ChainFailed; ends with its owner."""
    output = None if log is None else log.open("ab")
    job = subprocess.Popen(command, cwd=REPO, env=environment, start_new_session=True, stdout=output, stderr=output)
    guard = OwnerGuard(job.pid)
    try:
        if job.wait() != 0:
            where = "its log is above" if log is None else f"the end of its log:\n{tail(log)}"
            raise ChainFailed(f"the job ended with exit code {job.returncode}; {where}")
    finally:
        if job.poll() is None:
            end_session(job.pid, start_time(job.pid), seconds=20)
            job.wait()
        guard.release()
        if output is not None:
            output.close()
