"""What is known of a run survives its file."""

import datetime as dt
import json
from pathlib import Path

import pytest

from jobs.manifest import FILE, StageRecord, load_manifest, save_manifest
from jobs.storage import Storage
from tests.jobs.runs import manifest_of

RECORD = StageRecord(
    finished_at=dt.datetime(2026, 11, 16, 4, tzinfo=dt.UTC),
    code_version="abc",
    seconds=1.5,
    peak_bytes={"jvm": 1},
    facts={"a": [1, None]},
)


def test_round_trip(tmp_path: Path) -> None:
    manifest = manifest_of(epoch=3, serving_before="20261109T030000Z-20261109-1").with_stage("features", RECORD)
    save_manifest(Storage(str(tmp_path)), manifest)
    assert load_manifest(Storage(str(tmp_path))) == manifest
    assert json.loads((tmp_path / FILE).read_text())["stages"]["features"]["facts"] == {"a": [1, None]}


def test_there_is_none_yet(tmp_path: Path) -> None:
    assert load_manifest(Storage(str(tmp_path))) is None


def test_a_finished_stage_clears_the_failure_and_changes_nothing_else() -> None:
    before = manifest_of(failure="OSError: disk")
    after = before.with_stage("features", RECORD)
    assert (before.stages, after.failure) == ({}, None)
    assert after.fact("features", "a") == [1, None]
    assert after.request == before.request
    with pytest.raises(KeyError):
        before.fact("features", "a")


def test_who_started_it() -> None:
    request = manifest_of().request
    assert not request.scheduled
    assert request.model_copy(update={"trigger_id": "scheduled__2026-11-16"}).scheduled
