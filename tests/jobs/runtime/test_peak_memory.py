"""The peak of a stage is that of all its processes."""

import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from jobs.runtime.family import kind_of

_FAMILY = """
import subprocess, sys
from jobs.runtime.peak_memory import PeakMemory
from tests.publish.support.pushing import eventually

MIB = 2**20
hungry = "import time; data = bytearray(80 * 2**20); print('up', flush=True); time.sleep(600)"
with PeakMemory() as memory:
    start = memory.peak["driver"]
    data = bytearray(b"x") * (60 * MIB)
    eventually(lambda: memory.peak["driver"] - start > 50 * MIB)
    assert memory.peak["workers"] == 0
    with subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        eventually(lambda: memory.peak["workers"] > 80 * MIB)
        eventually(lambda: memory.peak["total"] >= memory.peak["driver"] + 80 * MIB)
        worker.kill()
assert len(data) == 60 * MIB
"""


def test_driver_and_workers_are_told_apart() -> None:
    """In a process of its own: one that has run other tests may take back what they freed, and grows by nothing."""
    done = subprocess.run([sys.executable, "-c", _FAMILY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_fork_of_java_that_runs_no_other_program_yet_does_not_count(tmp_path: Path) -> None:
    java = shutil.copy(shutil.which("bash") or "bash", tmp_path / "java")
    with subprocess.Popen([java, "-c", "(echo up; sleep 600; :) & wait"], stdout=subprocess.PIPE) as jvm:
        assert jvm.stdout is not None
        jvm.stdout.readline()
        family = [psutil.Process(jvm.pid)]
        while len(family) < 3 or family[2].name() != "sleep":
            family = [family[0], *family[0].children(recursive=True)]
        fork, worker = family[1:]
        assert [kind_of(process) for process in family] == ["jvm", None, "workers"]
        for process in (family[0], fork, worker):  # who waits first: a fork ends by itself once its worker has
            process.kill()
