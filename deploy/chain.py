"""The processes of a product on one machine: loader, weekly job (spark-submit) and look-up service."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from deploy.servers.errors import StackError
from deploy.servers.ports import LOOPBACK, choose_ports
from deploy.servers.processes import OwnerGuard, end_session, spawn, start_time, tail

REPO = Path(__file__).parent.parent
_READY_SECONDS = 180


class ChainFailed(StackError):
    """Loader, job or service ended with an error."""


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
    with _running("loader", ["load", *product.flags], environment, log) as process:
        yield process.pid


@contextmanager
def running_service(product: ProductFiles, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Runs the look-up service during the block and yields its URL when it is ready; it logs what it answers.

    Raises ChainFailed if it is not ready in time, or ended before the block did.
    """
    (port,) = choose_ports(log.with_suffix(".port"), 1)
    url = f"http://{LOOPBACK}:{port}"
    open_to_all = {name: value for name, value in environment.items() if name != "DISCOVERY_SERVE_TOKEN"}
    words = ["serve", *product.flags, "--port", str(port), "--exposures"]
    with _running("look-up service", words, open_to_all, log) as process:
        end = time.monotonic() + _READY_SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > end:
                raise ChainFailed(f"the look-up service at {url} is not ready; the end of its log:\n{tail(log)}")
            time.sleep(0.05)
        yield url


@contextmanager
def _running(
    name: str, words: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a command of `discovery` during the block. Raises ChainFailed if it ended before the block did."""
    process = spawn([sys.executable, "-m", "jobs.cli", *words], cwd=REPO, env=environment, log=log)
    guard = OwnerGuard(process.pid)
    try:
        yield process
        if process.poll() is not None:
            raise ChainFailed(f"the {name} ended early with exit code {process.returncode}: see {log}")
    finally:
        if process.poll() is None:
            end_session(process.pid, start_time(process.pid), seconds=20)
        guard.release()


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as reply:
        return bool(reply.status == HTTPStatus.OK)
    return False


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
