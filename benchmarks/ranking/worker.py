"""One single-threaded process of an arm: `python -m benchmarks.ranking.worker SPEC`, orders and answers as JSON lines.

The first line of output means that it is ready. An order names n, the number of users after `first`, and where to save
the lists, if anywhere. BLAS reads its number of threads from the environment before any of this is imported.
"""

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.peak_bytes import peak_bytes
from benchmarks.ranking.arms import ARMS, Arm, RankedLists, build_index
from benchmarks.ranking.stream import Stream


def obey(arm: Arm, stream: Stream, first: int, order: dict[str, Any]) -> dict[str, Any]:
    """Ranks as many users as the order says. Returns the seconds, peak memory and counts."""
    start, pairs, candidates = time.perf_counter(), 0, 0
    found: list[RankedLists] = []
    for users, exclude in stream.blocks(first, first + order["users"]):
        lists = arm(users, exclude, order["n"])
        pairs, candidates = pairs + lists.pairs, candidates + lists.candidates
        if order["save"]:
            found.append(lists)
    seconds = time.perf_counter() - start
    if order["save"]:
        ids, scores = (np.concatenate([getattr(lists, name) for lists in found]) for name in ("ids", "scores"))
        np.savez(order["save"], ids=ids, scores=scores)
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "pairs": pairs, "candidates": candidates}


def main(text: str) -> None:
    """Executes orders until the input ends."""
    spec = json.loads(text)
    stream, start = Stream(**spec["stream"]), time.perf_counter()
    if spec["arm"] == "build":
        _say({"seconds": build_index(stream), "peak_bytes": peak_bytes()})
        return
    arm = ARMS[spec["arm"]](stream)
    _say({"seconds": time.perf_counter() - start})
    for line in sys.stdin:
        _say(obey(arm, stream, spec["first"], json.loads(line)))


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
