"""Interactions in Parquet → CSR: ours beside Spark's `toPandas` (by Arrow), `factorize` and scipy's `coo_matrix`.

Each side is a process of its own; they take turns. Memory is how far the first turn raises the peak of the Python
process over its size before; the rival's JVM is shown apart. Both must make the same matrix.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.training.errors import TrainingBenchError
from benchmarks.training.plan import Plan
from benchmarks.training.row import Row, share_of, times_faster
from conf import contract
from deploy.chain import REPO

_SIDES = ("ours", "pandas")
_MB = 2**20
_ROW_GROUP = 2**17
"""Rows of a row group, about as many as the features stage writes."""


@dataclass(frozen=True)
class Side:
    """The process of one side."""

    name: str
    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, name: str, path: str) -> "Side":
        """Starts the process and waits until it is ready."""
        command = [sys.executable, "-m", "benchmarks.training.matrix_side", name, path]
        pipe = subprocess.PIPE
        side = cls(name, subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, text=True))
        side.answer()
        return side

    def turn(self) -> dict[str, Any]:
        """Makes the matrix once: seconds, python_bytes, jvm_bytes, matrix. Raises TrainingBenchError."""
        assert self.process.stdin is not None
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Waits for the next line of the process. Raises TrainingBenchError when it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise TrainingBenchError(f"the side {self.name!r} ended with {self.process.wait()}; its output is above")
        words: dict[str, Any] = json.loads(line)
        return words

    def close(self) -> None:
        """Closes the input of the process, which then ends."""
        with self.process:
            if self.process.stdin:
                self.process.stdin.close()


def measure(plan: Plan) -> list[Row]:
    """Returns time and memory. Raises TrainingBenchError when the matrices differ."""
    path = plan.new_folder("interactions") / "part-0.parquet"
    pq.write_table(_interactions(plan), path, row_group_size=_ROW_GROUP)
    sides: list[Side] = []
    try:
        for name in _SIDES:
            sides.append(Side.start(name, str(path)))
        turns = {side.name: [side.turn()] for side in sides}
        for _ in range(plan.rounds):
            for side in sides:
                turns[side.name].append(side.turn())
    finally:
        for side in sides:
            side.close()
    if len({turn["matrix"] for side in turns.values() for turn in side}) > 1:
        raise TrainingBenchError("ours and coo_matrix made different matrices of the same interactions: a defect")
    return _rows(turns)


def _rows(turns: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """Returns the rows of the table; memory is that of the first turn, time that of the others."""
    seconds = {name: [turn["seconds"] for turn in side[1:]] for name, side in turns.items()}
    python = {name: [side[0]["python_bytes"] / _MB] for name, side in turns.items()}
    jvm = turns["pandas"][0]["jvm_bytes"] / _MB
    rival = "toPandas + coo_matrix"
    return [
        times_faster("Parquet → CSR", "s", seconds["ours"], seconds["pandas"], rival, 5),
        share_of(
            "  memory of the process",
            "MB",
            python["ours"],
            python["pandas"],
            f"{rival}, without its JVM's {jvm:,.0f} MB",
            1 / 3,
        ),
    ]


def _interactions(plan: Plan) -> pa.Table:
    """Returns contract.interactions of all events."""
    pairs = plan.events.group_by(["user_id", "source_id"]).aggregate([("ts", "count"), ("ts", "max")])
    pairs = pairs.sort_by([("user_id", "ascending"), ("source_id", "ascending")])
    columns = [pairs["user_id"], pairs["source_id"], pairs["ts_count"].cast(pa.float64()), pairs["ts_max"]]
    table = pa.Table.from_arrays(columns, ["user_id", "source_id", "weight", "last_ts"])
    assert np.all(np.diff(np.asarray(table["user_id"])) >= 0)
    return table.cast(contract.interactions("int64"))
