"""spark-submit as a person calls it, in a process group of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.chain import REPO
from deploy.environment import shell_variables
from deploy.servers.processes import OwnerGuard
from tests.e2e.product import Product


def variables_of(product: Product) -> dict[str, str]:
    """The environment of a shell that exported what `make up` prints."""
    variables = shell_variables(product.home, product.servers.variables, product.config)
    return {**os.environ, **variables, **product.environment}


@contextmanager
def submitted(
    product: Product, *flags: str, entry: str = "prod_discovery"
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """spark-submit in a process group of its own, and its log."""
    path = product.home / "job.log"
    argv = ["spark-submit", "--master", "local[2]", f"jobs/{entry}.py", *product.flags(*flags)]
    with started(argv, variables_of(product), path) as job:
        yield job, path


@contextmanager
def started(argv: Sequence[str], variables: Mapping[str, str], path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a process group of its own, all of which has ended afterwards; `path` is its log."""
    with path.open("wb") as log:
        job = subprocess.Popen(argv, cwd=REPO, env=variables, stdout=log, stderr=log, start_new_session=True)
        guard = OwnerGuard(job.pid)
        try:
            yield job
        finally:
            guard.release()
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()
