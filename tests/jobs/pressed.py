"""Ctrl-C, pressed on a command in its own process group as a terminal does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

_IMPORTED = "import time:"


def pressed(words: list[str], seconds: float, environment: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Exit code, and lines on stderr, of Python when Ctrl-C comes so long after our code began to be imported."""
    command = subprocess.Popen(
        [sys.executable, "-X", "importtime", *words],
        env={**os.environ, "PYTHONPATH": ".", **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stderr is not None
    for line in command.stderr:
        if line.startswith(_IMPORTED) and line.endswith("jobs.runtime.interrupts\n"):
            break
    time.sleep(0.1 + seconds)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=60)
    return command.returncode, [line for line in said.splitlines() if not line.startswith(_IMPORTED)]
