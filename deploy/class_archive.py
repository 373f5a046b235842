"""Makes the archive of Spark's classes, from which `conf/spark-env.sh` lets Java start; `make env` calls it.

It runs a small job of the kinds of work that a run does, and Java keeps the classes that were loaded: class-data
sharing.
"""

import os
import subprocess
import sys
from pathlib import Path

from conf.errors import DiscoveryError
from deploy.chain import REPO
from deploy.servers.errors import StackError
from deploy.servers.java import find_java

ARCHIVE = REPO / ".venv/spark-classes.jsa"
_JOB = "deploy/class_archive_job.py"


class ArchiveFailed(StackError):
    """Java could not write the archive."""


def make_archive(archive: Path = ARCHIVE) -> None:
    """Writes the archive as a whole. Raises ArchiveFailed, JavaNotFound; without it, Spark only starts later."""
    unfinished = archive.with_suffix(f".{os.getpid()}")
    environment = {
        **os.environ,
        "JAVA_HOME": str(find_java().program.resolve().parent.parent),
        "SPARK_CONF_DIR": str(REPO / "conf"),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "DISCOVERY_NEW_CLASS_ARCHIVE": str(unfinished),
    }
    command = [str(Path(sys.executable).parent / "spark-submit"), _JOB]
    try:
        done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not unfinished.exists():
            raise ArchiveFailed(f"no archive of Spark's classes was made:\n{(done.stdout + done.stderr)[-2000:]}")
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)


def main() -> int:
    """Makes the archive. Returns the exit code: 0, or 1 for an error (printed)."""
    try:
        make_archive()
    except DiscoveryError as error:
        sys.stderr.write(f"class_archive: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
