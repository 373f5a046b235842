"""Ctrl-C, pressed on a command in its own process group as a terminal does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

_IMPORTED = b"import time:"


def pressed(words: list[str], seconds: float, environment: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Exit code, and lines on stderr, of Python when Ctrl-C comes so long after our code minds it.

    That is so when the next module after `jobs.runtime.interrupts` is imported, however slow the machine is.
    """
    command = subprocess.Popen(
        [sys.executable, "-X", "importtime", *words],
        env={**os.environ, "PYTHONPATH": ".", **(environment or {})},
        stderr=subprocess.PIPE,
        bufsize=0,  # so that nothing that was read ahead is missing in the end
        start_new_session=True,
    )
    assert command.stderr is not None
    for line in command.stderr:
        if line.startswith(_IMPORTED) and line.endswith(b"jobs.runtime.interrupts\n"):
            break
    assert command.stderr.readline().startswith(_IMPORTED)
    time.sleep(seconds)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=180)
    return command.returncode, [line.decode() for line in said.splitlines() if not line.startswith(_IMPORTED)]
