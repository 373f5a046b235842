"""Seconds and memory of looks at users of a made world, in a process of its own."""

import json
import sys
import time

import numpy as np

from benchmarks.explain.world import PRODUCT, RUN
from benchmarks.peak_bytes import peak_bytes
from jobs.inspector.archive import Archive
from jobs.inspector.forgotten import Forgotten
from jobs.inspector.looks import Looks
from jobs.inspector.user import Inspection, explain_user
from jobs.storage.store import Storage


def looks(home: str, users: list[int], *, copies: bool = True) -> dict[str, float]:
    """Looks at each user. Returns seconds of the first look, ms of the others, peak MiB, and how many lists agree.

    `processor …`: the same without waiting for a core or a disk, which says more on a machine that has other work.
    """
    storage = Storage(home)
    inspection = Inspection(
        PRODUCT,
        Archive(storage, PRODUCT, copies=copies),
        Forgotten(lambda: frozenset()),
        Looks(storage, PRODUCT),
        None,
    )
    times, processor, events, rebuilt = [], [], [], 0
    for user in users:
        start, used = time.perf_counter(), time.process_time()
        found = explain_user(inspection, user, who="benchmark", run=RUN)
        json.dumps(found.to_json(), default=str)
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
        events.append(sum(one.events for one in found.events))
        rebuilt += found.rebuilt is True
    later, busy = np.array(times[1:] or times) * 1e3, np.array(processor[1:] or processor) * 1e3
    return {
        "looks": len(users),
        "first": times[0],
        "p50": float(np.quantile(later, 0.5)),
        "p95": float(np.quantile(later, 0.95)),
        "worst": float(later.max()),
        "processor first": processor[0],
        "processor p50": float(np.quantile(busy, 0.5)),
        "processor p95": float(np.quantile(busy, 0.95)),
        "peak": peak_bytes() / 2**20,
        "events": float(np.mean(events)),
        "rebuilt": rebuilt,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(looks(sys.argv[1], json.loads(sys.stdin.read()))) + "\n")
