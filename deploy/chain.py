"""The two processes of a run on one machine: the loader and the weekly job (spark-submit)."""

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
class ProductFiles:
    """The YAML file of a product and its overlays."""

    config: Path
    overlays: tuple[Path, ...] = ()

    @property
    def flags(self) -> list[str]:
        """The flags that name the product for the job and for `discovery`."""
        overlays = [word for overlay in self.overlays for word in ("--overlay", str(overlay))]
        return ["--config", str(self.config), *overlays]


@contextmanager
def running_loader(product: ProductFiles, environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Runs the loader during the block and yields its pid. Raises ChainFailed if it ended before the block did."""
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


def job_command(product: ProductFiles, *flags: str) -> list[str]:
    """Returns the command of the weekly job, to be run in the repository's folder."""
    return ["spark-submit", "jobs/prod_discovery.py", *product.flags, *flags]


def run_job(command: Sequence[str], environment: Mapping[str, str], log: Path | None = None) -> None:
    """Runs the job until it ends, its log in `log` or on this terminal. Raises ChainFailed on an exit code ≠ 0."""
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
