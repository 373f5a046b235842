"""Processor time of a stage is that of all its processes, the ended ones too."""

import subprocess
import sys

_FAMILY = """
import signal, subprocess, sys, time
from jobs.runtime.peak_memory import PeakMemory
from tests.publish.support.pushing import eventually

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as Spark's daemon: who ends is in nobody's books

def burn(seconds):
    start = time.process_time()
    while time.process_time() < start + seconds:
        pass

burn(1)  # of before
hungry = "import time\\nwhile time.process_time() < 1: pass\\nprint('done', flush=True)\\ntime.sleep(600)"
with PeakMemory() as stage:
    worker = subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE)
    worker.stdout.readline()
    eventually(lambda: stage.cores.spent["workers"] >= .8)
    worker.kill()
    burn(.3)
spent = stage.cores.spent
assert spent["workers"] >= .8, spent
assert spent["driver"] >= .2, spent
assert abs(spent["total"] - spent["workers"] - spent["driver"]) < .05, spent
with PeakMemory() as next_stage:
    pass
assert next_stage.cores.spent["workers"] == 0
assert next_stage.cores.spent["driver"] < spent["driver"] + 1  # nothing of the stage before
"""


def test_processes_that_run_and_that_ended_count() -> None:
    """In a process of its own, which has no other children."""
    done = subprocess.run([sys.executable, "-c", _FAMILY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
