"""The peak of a stage is that of all its processes."""

import subprocess
import sys

from jobs.runtime.peak_memory import PeakMemory

MIB = 2**20


def test_driver_and_workers_are_told_apart() -> None:
    hungry = "import time; data = bytearray(80 * 2**20); print('up', flush=True); time.sleep(60)"
    with PeakMemory() as memory:
        start = memory.peak["driver"]
        data = bytearray(b"x") * (60 * MIB)
        with subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            worker.stdout.readline()
            memory._stop.wait(0.6)  # two samples
            worker.kill()
    assert len(data) == 60 * MIB
    assert memory.peak["driver"] - start > 50 * MIB
    assert memory.peak["workers"] > 80 * MIB
    assert memory.peak["total"] >= memory.peak["driver"] + 80 * MIB
