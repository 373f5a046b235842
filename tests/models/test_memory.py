"""The estimate against what a training really takes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.settings import TrainSettings
from models.errors import TrainMemoryError
from models.memory import check_memory, estimate
from tests.models.worlds import EPOCH, written

MEASURE = """
import json, sys, threading
import pyarrow.dataset as ds
from conf.settings import TrainSettings
from models.train import train
import implicit.cpu.als

def kilobytes(field):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field))

before = kilobytes("VmRSS")
settings = TrainSettings(factors=32, iterations=1, threads=1)
stats = train(ds.dataset(sys.argv[1], format="parquet"), settings, "int64").stats
print(json.dumps({"grown": (kilobytes("VmHWM") - before) * 1024, "estimated": stats.estimated_bytes}))
"""


def test_the_estimate_covers_what_is_measured(tmp_path: Path) -> None:
    users, sources, each = 200_000, 20_000, 10
    draw = np.random.default_rng(1)
    steps = draw.integers(1, sources // each, (users, each))  # strictly ascending sources per user
    columns = [np.repeat(np.arange(users), each), np.cumsum(steps, axis=1).ravel(), np.ones(users * each)]
    arrays = [pa.array(column) for column in columns]
    stamps = pa.array(np.full(users * each, EPOCH), pa.timestamp("us", "UTC"))
    written(tmp_path, pa.Table.from_arrays([*arrays, stamps], schema=contract.interactions("int64")))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["grown"] <= seen["estimated"] <= 2 * seen["grown"] + 2**27


def test_the_headline_scale_takes_about_thirty_gigabytes() -> None:
    assert 28e9 <= estimate(10**9, 41_000_000, 11_000_000, 64) <= 34e9


def test_the_limit_is_a_limit() -> None:
    needed = estimate(1000, 100, 10, 64)
    assert check_memory(TrainSettings(factors=64, max_memory=needed), 1000, 100, 10) == needed
    with pytest.raises(TrainMemoryError, match="1,000 interactions of 100 users with 10 sources at 64 factors"):
        check_memory(TrainSettings(factors=64, max_memory=needed - 1), 1000, 100, 10)
