"""Measures the floors of a finished run, and compares the run with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.floors.features import features_floor
from benchmarks.floors.finished_run import FinishedRun
from benchmarks.floors.floor import Floor
from benchmarks.floors.publishing import publishing_floor
from benchmarks.floors.ranking import ranking_floor
from benchmarks.floors.training import training_floor
from deploy.servers.local_stack import LocalStack
from jobs.run.manifest import Manifest
from jobs.storage.store import Storage

GOAL = 2.5
"""Most that a whole job of 24 million events may take ÷ the sum of its floors."""


def measure_floors(home: Path, manifest: Manifest) -> list[Floor]:
    """Returns the floors of a run below `home`, with servers that live as long as this takes."""
    with LocalStack(home / "floors", fast_start=False, maxmemory="4gb") as stack:
        return floors_of(FinishedRun(Storage(str(home)), manifest), stack.broker.bootstrap, stack.redis.url)


def floors_of(run: FinishedRun, kafka: str, store: str) -> list[Floor]:
    """Returns the floors of the run's stages, in their order; kafka: address of a broker, store: URL of a Redis."""
    return [features_floor(run), training_floor(run), ranking_floor(run), publishing_floor(run, kafka, store)]


def stage_seconds(manifest: Manifest, floor: Floor) -> float:
    """Returns the seconds of the stages that the floor is of."""
    return sum(manifest.stages[stage].seconds for stage in floor.stages if stage in manifest.stages)


def whole_ratio(seconds: float, floors: Sequence[Floor]) -> float:
    """Returns the seconds of the whole job ÷ the sum of the floors."""
    return seconds / sum(floor.seconds for floor in floors)


def floors_table(manifest: Manifest, floors: Sequence[Floor], seconds: float) -> list[str]:
    """Returns a line per floor, and one for the whole job, which took `seconds`."""
    lines = []
    for floor in floors:
        took = stage_seconds(manifest, floor)
        parts = " + ".join(f"{name} {part:.2f}" for name, part in floor.parts.items())
        uncounted = "".join(f"; {name} {part:.2f}" for name, part in floor.uncounted.items())
        lines.append(
            f"  {'+'.join(floor.stages):<14}{took:>8.1f} s, floor {floor.seconds:>7.2f} s, "
            f"ratio {took / floor.seconds:>5.1f}  ({parts}{uncounted})"
        )
    total = sum(floor.seconds for floor in floors)
    lines.append(
        f"  {'whole job':<14}{seconds:>8.1f} s, floors{total:>7.2f} s, "
        f"ratio {whole_ratio(seconds, floors):>5.1f}  (goal ≤ {GOAL} with 24 M events)"
    )
    return lines


def floors_json(manifest: Manifest, floors: Sequence[Floor], seconds: float) -> dict[str, Any]:
    """Returns the figures of `floors_table` for JSON."""
    return {
        "stages": [
            {
                "stages": floor.stages,
                "seconds": stage_seconds(manifest, floor),
                "floor": floor.seconds,
                "ratio": stage_seconds(manifest, floor) / floor.seconds,
                "parts": dict(floor.parts),
                "uncounted": dict(floor.uncounted),
            }
            for floor in floors
        ],
        "ratio": whole_ratio(seconds, floors),
        "goal": GOAL,
    }
