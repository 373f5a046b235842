"""The benchmarks of explanations on small worlds: planted tastes are causes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.explain.__main__ import main
from benchmarks.explain.cause import WAYS, cause
from benchmarks.explain.faithful import faithful
from benchmarks.quality.part import SplitPart
from conf.training import AlsSettings
from tests.models.worlds import planted


@pytest.fixture(scope="module")
def part() -> SplitPart:
    """Planted tastes, two of them for each user."""
    pairs = [side.astype(np.int64) for side in planted(users=300, sources=200, seed=4)[0].nonzero()]
    table = pa.table([*pairs, np.ones(len(pairs[0]))], ["user_id", "source_id", "weight"])
    return SplitPart.of(table, table.slice(0, 1), "int64")


def test_what_is_named_lowers_a_source_more_often_than_what_is_drawn(part: SplitPart) -> None:
    found = cause(part, AlsSettings(factors=8, threads=1), users=40)
    assert found.users == 40
    assert [*found.falls] == [*WAYS]
    named, _, drawn = (found.falls[way].of_anew for way in WAYS)
    assert named > drawn
    assert found.impossible <= found.tried_out <= 40 * (1 - named) + 1e-9
    assert "40 users: counterfactual" in str(found)


def test_what_is_said_is_what_the_run_and_redis_hold(part: SplitPart) -> None:
    found = faithful(part, AlsSettings(factors=8, threads=1), users=15)
    assert (found.users, found.rebuilt) == (15, 15)
    assert found.absent == found.one_rule > 0
    assert found.pairs == found.agreeing > 0
    assert 0 < found.small <= found.scores
    assert "rebuilt, as in the run and in Redis 15 of 15 (100.00%)" in str(found)


def test_missing_data_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "cause", "--data", str(tmp_path)]) == 2
    assert "lastfm.parquet is missing" in capsys.readouterr().err
