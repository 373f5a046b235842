"""The floor of a job's start: spark-submit of a script that opens a session and does nothing else."""

import os
import subprocess
import time
from pathlib import Path

from deploy.chain import REPO
from deploy.environment import shell_variables

_COMMAND = ["spark-submit", "benchmarks/bare_session.py"]


def bare_session_seconds(home: Path, config: Path) -> float:
    """Returns the seconds of one spark-submit of this file, with the settings and the environment of a job."""
    start = time.monotonic()
    environment = {**os.environ, **shell_variables(home, {}, config)}
    with (home / "bare_session.log").open("wb") as log:
        subprocess.run(_COMMAND, cwd=REPO, env=environment, stdout=log, stderr=log, check=True)
    return time.monotonic() - start


if __name__ == "__main__":
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate()
