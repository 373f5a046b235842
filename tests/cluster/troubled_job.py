"""The weekly job, some of whose tasks get into trouble half-way: spark-submit tests/cluster/troubled_job.py FLAGS….

TROUBLES is a JSON object, place → what happens to the first task that has done half of its work there:
  kill  its executor is killed
  copy  it stands still until what it works on is finished, which only another copy of it can do
  late  (publish only) it stands still until the run serves, and sends the other half then
and `idle` is a place before the stage topn, where the job waits until it has no executors. Files in the folder HALTS
tell what happened.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 180
Batches = Iterator[Any]


def stand_still(folder: str, place: str) -> bool:
    """On a worker: the first who comes here waits until it is told to go on; returns whether it was the first."""
    note = Path(folder, f"{place}.{os.getpid()}")
    note.write_text(str(os.getpid()))
    try:
        os.link(note, Path(folder, f"{place}.stands"))
    except FileExistsError:
        return False
    executor = os.getppid()
    while not Path(folder, f"{place}.goes").exists():
        if os.getppid() != executor:
            os._exit(1)
        time.sleep(0.05)
    return True


def halting(folder: str, place: str, batches: Batches) -> Batches:
    """Passes rows on; stands still in the middle of them."""
    for batch in batches:
        yield batch.slice(0, batch.num_rows // 2)
        stand_still(folder, place)
        yield batch.slice(batch.num_rows // 2)


def send_haltingly(folder: str, real: Callable[..., Any], partitions: Any, announcement: Any, sender: Any) -> Any:
    """Sends the first partition, stands still, and sends the others."""
    pieces = [(number, iter(list(rows))) for number, rows in partitions]
    first = real(pieces[:1], announcement, sender)
    stood = stand_still(folder, "publish")
    sent = [*first, *real(pieces[1:], announcement, sender)]
    if stood:
        Path(folder, "publish.late").touch()
    return sent


class Troubles:
    """What happens where, and the files that say so."""

    def __init__(self, folder: Path, kinds: Mapping[str, str]) -> None:
        self.folder, self.kinds = folder, kinds

    def begin(self) -> None:
        """Changes the job, which imports Spark."""
        import jobs.stages.lists
        import jobs.stages.partitions
        import jobs.stages.publish
        from jobs.storage.partials import SparkPartials
        from jobs.storage.tables import Tables

        write, stage, send_slices = Tables.write, SparkPartials.stage, jobs.stages.publish.send_slices
        precompute = jobs.stages.lists.precompute_topn

        def write_troubled(tables: Any, name: str, frame: Any, *more: Any) -> int:
            return self.meet(name, lambda: write(tables, name, self.halted(name, frame), *more))

        def stage_troubled(partials: Any, name: str, days: Any, frame: Any) -> None:
            self.meet("partials", lambda: stage(partials, name, days, self.halted("partials", frame)))

        def precompute_without_executors(run: Any) -> None:
            tracker = run.spark.sparkContext._jsc.sc().statusTracker()
            self.wait(lambda: len(tracker.getExecutorInfos()) == 1, "executors that do nothing end")  # the driver's
            self.folder.joinpath("idle").touch()
            precompute(run)

        Tables.write = write_troubled  # type: ignore[method-assign]
        SparkPartials.stage = stage_troubled  # type: ignore[method-assign]
        if "publish" in self.kinds:
            jobs.stages.partitions.send_partitions = partial(
                send_haltingly, str(self.folder), jobs.stages.partitions.send_partitions
            )
            jobs.stages.publish.send_slices = lambda *given: self.meet("publish", lambda: send_slices(*given))
        if "idle" in self.kinds:
            jobs.stages.lists.precompute_topn = precompute_without_executors

    def halted(self, place: str, frame: Any) -> Any:
        """Rows whose first task stands still half-way, if there is trouble at this place."""
        if place not in self.kinds:
            return frame
        return frame.mapInArrow(partial(halting, str(self.folder), place), frame.schema)

    def meet(self, place: str, work: Callable[[], Any]) -> Any:
        """Works while a thread waits for whom to kill, or lets the one that stands still go on afterwards."""
        kind = self.kinds.get(place)
        killer = threading.Thread(target=self.kill, args=(place,), daemon=True)
        if kind == "kill":
            killer.start()
        try:
            result = work()
        finally:
            if kind == "kill":
                killer.join(PATIENCE)
        if kind == "copy":
            assert (self.folder / f"{place}.stands").exists(), f"nobody came to {place}"
            self.folder.joinpath(f"{place}.goes").touch()
        return result

    def kill(self, place: str) -> None:
        """Kills the executor of the task that stands at the place."""
        stands = self.folder / f"{place}.stands"
        self.wait(stands.exists, f"a task comes to {place}")
        parents = psutil.Process(int(stands.read_text())).parents()
        (executor,) = [one for one in parents if any("ExecutorBackend" in word for word in one.cmdline())]
        executor.send_signal(signal.SIGKILL)
        self.folder.joinpath(f"{place}.killed").touch()

    def end(self) -> None:
        """Lets the one who stands at `publish` send the rest, when everything is served."""
        if self.kinds.get("publish") == "late":
            self.folder.joinpath("publish.goes").touch()
            self.wait(self.folder.joinpath("publish.late").exists, "the late copy has sent its records")

    @staticmethod
    def wait(truth: Callable[[], bool], what: str) -> None:
        """Waits until something is true; raises when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not truth():
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {what}")
            time.sleep(0.05)


def main() -> int:
    """Runs the job in trouble. Returns its exit code."""
    from jobs.prod_discovery import discover
    from jobs.run.enter import Run, enter

    troubles = Troubles(Path(os.environ["HALTS"]), json.loads(os.environ["TROUBLES"]))

    def work(run: Run) -> None:
        troubles.begin()
        discover(run)
        troubles.end()

    return enter(work)


if __name__ == "__main__":
    sys.exit(main())
