"""The journal of a hunt: the faults and their times, the counters, and every broken promise."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

_TAIL = 40
_KEPT = 200


@dataclass
class Span:
    """Seconds (monotonic clock) from the start to the end of something; `end` is inf while it lasts."""

    start: float
    tail: float = 0.0
    """Seconds for which its effects last after its end."""
    end: float = inf


class Journal:
    """Shared by every thread of a hunt; its events and violations are also files in `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.began = time.monotonic()
        self.push: int | None = None
        """Number of the current push, for violations that name none."""
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._seed = seed
        self._lock = threading.Lock()
        self._events: list[str] = []
        self._windows: list[tuple[str, Span]] = []
        self._unprinted: list[str] = []
        self._log = (folder / "events.log").open("a", encoding="utf-8", buffering=1)

    def note(self, text: str) -> None:
        """Writes an event to the log."""
        line = f"{time.monotonic() - self.began:9.3f} {text}"
        with self._lock:
            self._events = [*self._events[-_TAIL:], line]
            self._log.write(line + "\n")

    def count(self, name: str, much: int = 1) -> None:
        """Adds `much` to a counter."""
        with self._lock:
            self.counts[name] += much

    def violation(self, sort: str, text: str, *, push: int | None = None) -> None:
        """Records a broken promise: counts it, and keeps it with the events before it."""
        self.count("violations")
        self.count(f"violation: {sort}")
        self.note(f"VIOLATION {sort}: {text}")
        push = self.push if push is None else push
        with self._lock:
            if self.counts["violations"] > _KEPT:
                return
            record: dict[str, Any] = {"sort": sort, "text": text, "seed": self._seed, "push": push}
            with (self._folder / "violations.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record | {"events": self._events}) + "\n")
            if self.counts[f"violation: {sort}"] <= 3:
                events = "\n    ".join(self._events[-12:])
                self._unprinted.append(f"VIOLATION ({sort}) seed {self._seed} push {push}: {text}\n    {events}")

    def news(self) -> list[str]:
        """Returns violations that were not returned before, at most three of a sort."""
        with self._lock:
            news, self._unprinted = self._unprinted, []
        return news

    @contextmanager
    def window(self, name: str, *, tail: float = 0.0) -> Iterator[Span]:
        """Records the time that the block takes, and `tail` seconds more, as a window of this name."""
        window = Span(time.monotonic(), tail)
        with self._lock:
            self._windows.append((name, window))
        try:
            yield window
        finally:
            window.end = time.monotonic() + window.tail

    def was(self, name: str, since: float, until: float) -> bool:
        """Returns whether a window of this name overlaps the time from `since` to `until`."""
        with self._lock:
            return any(n == name and w.start <= until and w.end >= since for n, w in self._windows)

    def seconds(self, name: str, since: float) -> float:
        """Returns the seconds after `since` in windows of this name; where two overlap, the time counts twice."""
        now = time.monotonic()
        with self._lock:
            spans = [(max(w.start, since), min(w.end, now)) for n, w in self._windows if n == name]
        return sum(end - start for start, end in spans if end > start)

    def close(self) -> None:
        """Closes the log."""
        self._log.close()
