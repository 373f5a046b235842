"""Published lists of real data, judged on literal events."""

import datetime as dt
import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.judge import main

_AS_OF = dt.date(2024, 1, 15)
_EVENTS = [  # user, source, day, event
    ("1", "a", dt.date(2023, 12, 31), "purchase"),  # a day before the window
    ("1", "b", dt.date(2024, 1, 1), "purchase"),  # first day of the window
    ("2", "b", dt.date(2024, 1, 14), "purchase"),
    ("2", "c", dt.date(2024, 1, 14), "purchase"),
    ("3", "d", dt.date(2024, 1, 14), "return"),  # seen, but no popularity
    ("3", "c", dt.date(2024, 1, 14), "purchase"),
    ("3", "b", dt.date(2024, 1, 14), "purchase"),
    ("1", "a", dt.date(2024, 1, 15), "purchase"),  # new: not seen in the window
    ("1", "a", dt.date(2024, 1, 16), "purchase"),  # counts once
    ("1", "b", dt.date(2024, 1, 16), "purchase"),  # seen before
    ("1", "c", dt.date(2024, 1, 28), "purchase"),  # the last day judged
    ("1", "d", dt.date(2024, 1, 29), "purchase"),  # too late
    ("2", "e", dt.date(2024, 1, 16), "return"),  # not a yes
    ("3", "e", dt.date(2024, 1, 16), "purchase"),  # nobody knew it
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The events as a data set."""
    users, sources, days, events = zip(*_EVENTS, strict=True)
    seconds = [int(dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp()) for day in days]
    rows = {"user_id": [int(user) for user in users], "item_id": sources, "ts": seconds, "event": events}
    pq.write_table(pa.table({**rows, "weight": [1] * len(users)}), tmp_path / "online_retail.parquet")
    return tmp_path


def _lists(folder: Path, lists: dict[str, list[str]]) -> Path:
    path = folder / "lists.parquet"
    pq.write_table(pa.table({"user_id": list(lists), "source_ids": list(lists.values())}), path)
    return path


def _flags(data: Path, lists: Path) -> list[str]:
    return ["online_retail", "--lists", str(lists), "--data", str(data), "--as-of", str(_AS_OF), "--k", "2"]


def test_recall_and_ndcg_by_hand(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = _lists(data, {"1": ["d", "a", "c"], "2": ["a", "e"], "3": ["e"]})
    assert main([*_flags(data, lists), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out.splitlines()[-1])
    second = 1 / math.log2(3)  # gain of the second place
    assert verdict["ours"]["users"] == verdict["popularity"]["users"] == 2  # user 2 has nothing new to be found
    assert verdict["ours"]["recall"] == pytest.approx((1 / 2 + 1) / 2)  # user 1: a of {a, c}; user 3: e
    assert verdict["ours"]["ndcg"] == pytest.approx((second / (1 + second) + 1) / 2)
    # b, seen by three, is popular before c, by two; user 1 has seen b, user 3 both
    assert verdict["popularity"]["recall"] == pytest.approx((1 / 2 + 0) / 2)
    assert verdict["popularity"]["ndcg"] == pytest.approx((1 / (1 + second) + 0) / 2)


def test_a_table_for_people(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_flags(data, _lists(data, {"1": ["a", "c"]}))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Recall@2", "NDCG@2", "users"]
    assert lines[1].split() == ["ours", "1.0000", "1.0000", "1"]


def test_nobody_to_judge_and_missing_data_are_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_flags(data, _lists(data, {"2": ["a"]}))) == 2
    assert "nothing to judge" in capsys.readouterr().err
    assert main([*_flags(data, _lists(data, {"1": ["a"]})), "--data", str(data / "nowhere")]) == 2
    assert "is missing" in capsys.readouterr().err
