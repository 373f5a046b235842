"""Runs an arm as two single-threaded processes at once, each with half of the users."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.ranking.errors import RankingBenchError
from benchmarks.ranking.stream import Stream
from deploy.chain import REPO
from models.ranking import TopN

WORKERS = 2
_ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")
}


@dataclass(frozen=True)
class Turn:
    """One turn of a pair: users ranked, wall seconds, the larger peak of the two in bytes, and counts of work."""

    users: int
    seconds: float
    peak_bytes: int
    pairs: int
    candidates: int

    @property
    def per_user(self) -> float:
        """Seconds per user."""
        return self.seconds / self.users


class Worker:
    """One process; sending an order and waiting for its answer are apart, so that several work at once."""

    def __init__(self, arm: str, stream: Stream, first: int = 0) -> None:
        spec = json.dumps({"arm": arm, "stream": asdict(stream), "first": first})
        command = [sys.executable, "-m", "benchmarks.ranking.worker", spec]
        environment = {**os.environ, **_ONE_THREAD}
        self.arm = arm
        self.process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def order(self, **words: Any) -> None:
        """Sends an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Waits for its next line. Raises RankingBenchError when it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RankingBenchError(f"a worker of {self.arm} ended with {self.process.wait()}; its output is above")
        words: dict[str, Any] = json.loads(line)
        return words

    def close(self) -> None:
        """Ends the process."""
        with self.process:  # closes its pipes
            self.process.kill()


class Pair:
    """The two processes of an arm, from their start to the end of the `with` block."""

    def __init__(self, arm: str, stream: Stream) -> None:
        self.arm, self.half = arm, stream.users // WORKERS
        self._stack = ExitStack()
        start = time.perf_counter()
        self.workers = [Worker(arm, stream, place * self.half) for place in range(WORKERS)]
        for worker in self.workers:
            self._stack.callback(worker.close)
        try:
            self.setup_s = max(worker.answer()["seconds"] for worker in self.workers)
        except RankingBenchError:
            self._stack.close()
            raise
        self._started = start

    def __enter__(self) -> "Pair":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def age(self) -> float:
        """Seconds since its processes were started."""
        return time.perf_counter() - self._started

    def turn(self, n: int, users: int, save: Path | None = None) -> Turn:
        """Ranks the first `users` of each half; the time runs until both are done. Lists go below `save`, if named."""
        start = time.perf_counter()
        for place, worker in enumerate(self.workers):
            worker.order(n=n, users=users, save=str(save / f"{self.arm}{place}.npz") if save else None)
        answers = [worker.answer() for worker in self.workers]
        seconds = time.perf_counter() - start
        peak = max(answer["peak_bytes"] for answer in answers)
        pairs, candidates = (sum(answer[name] for answer in answers) for name in ("pairs", "candidates"))
        return Turn(WORKERS * users, seconds, peak, pairs, candidates)

    def lists(self, n: int, users: int, folder: Path) -> list[TopN]:
        """Returns the lists of the first `users` of each half."""
        self.turn(n, users, folder)
        found = []
        for place in range(WORKERS):
            with np.load(folder / f"{self.arm}{place}.npz", allow_pickle=False) as file:
                found.append(TopN(file["ids"].astype(np.int32), file["scores"]))
        return found


def build(stream: Stream) -> dict[str, Any]:
    """Builds the index in a process of its own. Returns the seconds of the build and the peak memory."""
    worker = Worker("build", stream)
    try:
        return worker.answer()
    finally:
        worker.close()
