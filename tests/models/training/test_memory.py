"""The estimate against what a training really takes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conf import contract
from conf.training import AlsSettings
from models.errors import TrainMemoryError
from models.training.memory import MAX_PAIRS, DataSize, estimate
from models.training.trainers import check_memory, choose_trainer
from tests.models.worlds import EPOCH, written

MEASURE = """
import json, sys, threading
import pyarrow.dataset as ds
from conf.training import AlsSettings
from models.training.train import train
import implicit.cpu.als

def kilobytes(field):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field))

before = kilobytes("VmRSS")
settings = AlsSettings(factors=32, iterations=1, threads=1)
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
    assert 28e9 <= estimate(DataSize(10**9, 41_000_000, 11_000_000), 64) <= 34e9


def test_the_limit_is_a_limit() -> None:
    needed = estimate(DataSize(1000, 100, 10), 64)
    assert check_memory(AlsSettings(factors=64, max_memory=needed), DataSize(1000, 100, 10)) == needed
    with pytest.raises(TrainMemoryError, match="1,000 interactions of 100 users with 10 sources at 64 factors"):
        check_memory(AlsSettings(factors=64, max_memory=needed - 1), DataSize(1000, 100, 10))


def never() -> DataSize:
    raise AssertionError("the data were read")


@pytest.mark.parametrize("algorithm", ["als", "als_spark"])
def test_what_is_set_is_chosen_without_a_look_at_the_data(algorithm: str) -> None:
    settings = AlsSettings.model_validate({"algorithm": algorithm, "max_memory": 1})
    assert choose_trainer(settings, 10**9, never).algorithm == algorithm


def test_auto_looks_at_the_data_only_where_their_number_decides_nothing() -> None:
    auto = AlsSettings(algorithm="auto", factors=64, max_memory=2**30)
    small, large = choose_trainer(auto, 1000, never), choose_trainer(auto, 10**8, never)
    assert (small.algorithm, large.algorithm) == ("als", "als_spark")
    assert "at most" in small.reason
    assert "at least" in large.reason
    assert choose_trainer(auto.model_copy(update={"max_memory": 2**60}), MAX_PAIRS + 1, never).algorithm == "als_spark"
    needed = estimate(DataSize(10**7, 10**6, 10**5), 64)
    for limit, expected in ((needed, "als"), (needed - 1, "als_spark")):
        limited = auto.model_copy(update={"max_memory": limit})
        choice = choose_trainer(limited, 10**7, lambda: DataSize(10**7, 10**6, 10**5))
        assert choice.algorithm == expected
        assert choice.reason.startswith("training needs about")
        if expected == "als":
            assert check_memory(limited, DataSize(10**7, 10**6, 10**5)) == needed
        else:
            with pytest.raises(TrainMemoryError, match=r"train\.algorithm: auto"):
                check_memory(limited, DataSize(10**7, 10**6, 10**5))
