"""Measured days are kept as a whole, with the same bytes for the same figures."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from conf import contract
from jobs.outcomes.store import DamagedOutcomes, OutcomeStore, Record, sorted_table
from jobs.storage.store import Storage

DAY = dt.date(2026, 11, 16)
EMPTY = dict.fromkeys(contract.outcomes().names)


def row(**figures: Any) -> dict[str, Any]:
    return EMPTY | {"day": DAY, "basis": "answered", "arm": "treatment", "by": "all", "users": 1} | figures


def record() -> Record:
    return Record(
        day=DAY, file="", sha256="", rows=1, through=DAY, mature=False, inputs="", settings_hash="", bases={},
        new_is_known=True, robots={}, served=(), at=(1,),
    )  # fmt: skip


def test_rows_are_sorted_by_their_keys_and_places_as_numbers() -> None:
    rows = [row(by="position", value=value) for value in ("10", "9", None)] + [row(), row(arm="control"), row(run="a")]
    chosen = [(one["arm"], one["run"], one["by"], one["value"]) for one in sorted_table(rows).to_pylist()]
    assert chosen == [
        ("control", None, "all", None),
        ("treatment", None, "all", None),
        ("treatment", None, "position", None),
        ("treatment", None, "position", "9"),
        ("treatment", None, "position", "10"),
        ("treatment", "a", "all", None),
    ]
    assert sorted_table(rows[::-1]) == sorted_table(rows)


def test_a_day_is_replaced_as_a_whole(tmp_path: Path) -> None:
    store = OutcomeStore.of(Storage(str(tmp_path)), "p")
    assert store.records() == {}
    first = store.write(record(), sorted_table([row()]))
    again = store.write(record(), sorted_table([row()]))
    assert again == first
    other = store.write(record(), sorted_table([row(users=2)]))
    assert other.sha256 != first.sha256
    assert store.records() == {DAY: other}
    assert store.table(other)["users"].to_pylist() == [2]
    assert sorted(path.name for path in (tmp_path / f"outcomes/p/dt={DAY}").iterdir()) == ["_record.json", other.file]


def test_a_day_that_was_killed_before_its_record_is_as_it_was(tmp_path: Path) -> None:
    store = OutcomeStore.of(Storage(str(tmp_path)), "p")
    folder = tmp_path / f"outcomes/p/dt={DAY}"
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(b"half")
    assert store.records() == {}
    kept = store.write(record(), sorted_table([row()]))
    (folder / "part-0.parquet").write_bytes(b"half")
    assert store.table(store.records()[DAY])["users"].to_pylist() == [1]
    (folder / kept.file).write_bytes(b"half")
    with pytest.raises(DamagedOutcomes, match=f"was changed; delete that folder.*--day {DAY}"):
        store.table(kept)
    (folder / "_record.json").write_text("{}")
    with pytest.raises(DamagedOutcomes, match="cannot be read by this version"):
        store.records()
