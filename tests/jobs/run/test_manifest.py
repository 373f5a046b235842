"""What is known of a run survives its file."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from conf import contract
from jobs.run.manifest import Manifest, StageRecord, bound_folder, find_run, load_manifest, save_manifest
from jobs.storage.bound_folder import MANIFEST, ChangedSince
from jobs.storage.store import Storage
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
    assert json.loads((tmp_path / MANIFEST).read_text())["stages"]["features"]["facts"] == {"a": [1, None]}


def test_records_of_older_code_have_no_processor_time() -> None:
    older = RECORD.model_dump(mode="json", exclude={"core_seconds", "shuffle_bytes"})
    assert StageRecord.model_validate(older) == RECORD
    assert (RECORD.core_seconds, RECORD.shuffle_bytes) == ({}, None)


def leaves(tree: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    """The keys on the way to every scalar, empty list and empty object of a JSON value."""
    if isinstance(tree, dict | list) and tree:
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, *way, key)
    else:
        yield way


def test_whatever_is_changed_by_hand_is_refused_by_name(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    save_manifest(folder, manifest_of(epoch=3).with_stage("features", RECORD))
    content = (tmp_path / MANIFEST).read_text()
    ways = [*leaves(json.loads(content))]
    assert len(ways) > 80
    for *way, last in ways:
        tree = json.loads(content)
        at = tree
        for key in way:
            at = at[key]
        at[last] = not at[last] if isinstance(at[last], bool) else f"{at[last]}1"
        (tmp_path / MANIFEST).write_text(json.dumps(tree))
        with pytest.raises(ChangedSince, match=f"{tmp_path}/{MANIFEST} was changed since.*start a new run") as caught:
            load_manifest(folder)
        assert caught.value.exit_code == 2
    for tree in (json.loads(content) | {"more": 1}, {**json.loads(content), "sha256": None}):
        (tmp_path / MANIFEST).write_text(json.dumps(tree))
        with pytest.raises(ChangedSince):
            load_manifest(folder)
    (tmp_path / MANIFEST).write_text(content[:-1])
    with pytest.raises(ChangedSince, match="is no JSON object"):
        load_manifest(folder)
    (tmp_path / MANIFEST).write_text(json.dumps(dict(reversed(json.loads(content).items()))))
    assert load_manifest(folder) is not None, "only its order"


def test_one_from_before_it_was_bound_is_read(tmp_path: Path) -> None:
    folder = Storage(str(tmp_path))
    save_manifest(folder, manifest_of(bound=False).with_stage("features", RECORD))
    tree = json.loads((tmp_path / MANIFEST).read_text())
    for key in ("sha256", "bound"):
        del tree[key]
    del tree["stages"]["features"]["made"]
    (tmp_path / MANIFEST).write_text(json.dumps(tree))
    manifest = load_manifest(folder)
    assert manifest is not None
    assert (manifest.bound, manifest.stages["features"].made) == (False, {})


def test_what_the_registry_is_told_is_of_the_run_up_to_its_last_gate() -> None:
    before = manifest_of(epoch=3).with_stage("features", RECORD)
    after = before.with_stage("publish", RECORD).model_copy(update={"failure": "OSError: disk"})
    assert before.judged == after.judged == Manifest.model_validate_json(after.model_dump_json()).judged
    for changes in ({"epoch": 4}, {"libraries": {}}, {"request": before.request.model_copy(update={"first": True})}):
        assert before.model_copy(update=changes).judged != before.judged
    assert before.with_stage("topn", RECORD).judged != before.judged
    other = RECORD.model_copy(update={"made": {"interactions": "c0ffee"}})
    assert before.with_stage("features", other).judged != before.judged


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


def test_a_run_is_found_with_its_tables(tmp_path: Path) -> None:
    home, manifest = Storage(str(tmp_path)), manifest_of()
    product, run = manifest.request.product, manifest.request.run_id
    assert find_run(home, product, run) is None
    folder = bound_folder(home, manifest, remedy="")
    folder.begin("features")
    schema = contract.audience("int64")
    folder.write_table("audience", [pa.record_batch([pa.array([1, 2])], schema=schema)], schema)
    manifest = manifest.with_stage("features", RECORD.model_copy(update={"made": folder.made()}))
    save_manifest(folder, manifest)
    kept = find_run(home, product, run)
    assert kept is not None
    assert kept.manifest == manifest
    assert kept.folder.table("audience").to_table()["user_id"].to_pylist() == [1, 2]
    (part,) = Path(folder.uri.removeprefix("file://"), "audience").glob("*.parquet")
    part.write_bytes(b"")
    found = find_run(home, product, run)
    assert found is not None
    with pytest.raises(ChangedSince, match=r"'audience'.*restore that folder from a copy"):
        found.folder.table("audience")
