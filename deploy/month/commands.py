"""The commands of a month, as an operator or the scheduler would start them."""

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.chain import REPO, ChainFailed, ProductFiles, job_command
from deploy.servers.processes import tail

STOPPED_BY_A_GATE = 2
"""Exit code of a run that a gate has stopped."""
STOPPED_BY_THE_RAMP = 4
"""Exit code of the decision that an experiment is stopped."""


@dataclass
class Commands:
    """Runs commands on one product, whose overlays may change from week to week, and counts their seconds."""

    product: ProductFiles
    environment: Mapping[str, str]
    log: Path
    """Of everything that they say."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What was done → seconds, all of its times together."""

    def discovery(self, *words: str, codes: Collection[int] = (0,)) -> Any:
        """Returns what a command of `discovery` says as JSON. Raises ChainFailed on other exit codes than `codes`."""
        command = [sys.executable, "-m", "jobs.cli", *words, *self.product.flags]
        done = self._run("commands", [*command, "--json"])
        if done.returncode not in codes:
            raise ChainFailed(
                f"discovery {' '.join(words)} ended with exit code {done.returncode}: {done.stderr[-2_000:]}"
            )
        return json.loads(done.stdout)

    def weekly_run(self, as_of: dt.date, *flags: str) -> bool:
        """Runs the weekly job. Returns whether it has served; False: a gate stopped it. Raises ChainFailed."""
        command = job_command(self.product, "--as-of", str(as_of), *flags)
        code = self._run("weekly runs", command, logged=True).returncode
        if code not in (0, STOPPED_BY_A_GATE):
            raise ChainFailed(f"the weekly job ended with exit code {code}; the end of its log:\n{tail(self.log)}")
        return code == 0

    def measure(self, day: dt.date) -> None:
        """Measures what users did up to a day. Raises ChainFailed."""
        command = ["spark-submit", "jobs/measure_outcomes.py", *self.product.flags, "--day", str(day)]
        if code := self._run("measuring", command, logged=True).returncode:
            raise ChainFailed(f"measuring {day} ended with exit code {code}; the end of its log:\n{tail(self.log)}")

    def _run(self, what: str, command: list[str], *, logged: bool = False) -> "subprocess.CompletedProcess[str]":
        start = time.monotonic()
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            streams: dict[str, Any] = {"stdout": log, "stderr": log} if logged else {"capture_output": True}
            done = subprocess.run(command, cwd=REPO, env=self.environment, text=True, check=False, **streams)
            log.write("" if logged else done.stderr)
        self.seconds[what] = self.seconds.get(what, 0.0) + time.monotonic() - start
        return done
