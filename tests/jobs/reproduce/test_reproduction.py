"""What made a run is compared with what is here, and each difference is named for what it is."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from conf import contract
from conf.load import config_hash
from conf.settings import Settings
from conf.training import AlsSettings
from features.survey import survey_inputs
from jobs.cli.views.reproduction import reproduction
from jobs.reproduce.differences import (
    STAGES,
    Difference,
    code_differences,
    config_differences,
    forgotten_differences,
    input_differences,
    library_differences,
    start_differences,
    thread_differences,
)
from jobs.reproduce.reproduction import Reproduction
from jobs.reproduce.table_digest import Differing, TableComparison
from jobs.run.manifest import Manifest, StageRecord, run_folder
from jobs.runtime.versions import library_versions
from jobs.stages.training.warm_start import digest_of_factors
from jobs.storage.datasets import open_catalog
from jobs.storage.erased import Erased
from jobs.storage.store import Storage
from tests.features.world import AS_OF, ago, events, settings
from tests.jobs.runs import manifest_of

NOBODY = Erased(frozenset())


def finished(code: str = "v1", erased: Erased = NOBODY, training: Mapping[str, Any] = {}, **changes: Any) -> Manifest:
    """A manifest with all stages that make tables."""
    known = manifest_of(**changes)
    at = dt.datetime(2026, 11, 16, 4, tzinfo=dt.UTC)
    for stage in STAGES:
        facts = {"erased": erased.fact, "training": dict(training)}
        record = StageRecord(finished_at=at, code_version=code, seconds=1, peak_bytes={}, facts=facts)
        known = known.with_stage(stage, record)
    return known


def with_request(manifest: Manifest, **changes: Any) -> Manifest:
    return manifest.model_copy(update={"request": manifest.request.model_copy(update=changes)})


def test_settings_that_were_changed_and_settings_that_are_new() -> None:
    ours = settings()
    sound = with_request(finished(), config_hash=config_hash(ours))
    assert list(config_differences(sound, ours)) == []

    changed = sound.model_copy(update={"settings": {**sound.settings, "schedule": "0 3 * * 1"}})
    (found,) = [one for one in config_differences(changed, Settings.model_validate(changed.settings)) if one.certain]
    assert "they were changed" in found.detail

    older = {name: value for name, value in ours.model_dump(mode="json").items() if name != "judge"}
    news = list(config_differences(sound.model_copy(update={"settings": older}), ours))
    assert {one.detail.split()[0].split(".")[0] for one in news if not one.certain} == {"judge"}


def write_day(folder: Path, rows: pa.Table) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()
    return folder / "part-0.parquet"


def test_a_partition_that_is_gone_new_or_rewritten_is_named_by_dataset_and_day(tmp_path: Path) -> None:
    ours = settings(sources={"path": "sources", "max_age_days": 5})
    files = {n: write_day(tmp_path / "data/clicks" / f"dt={ago(n)}", events(ago(n), (1, 2, "like"))) for n in (4, 3, 1)}
    catalogue = pa.table({"source_id": [2], "status": ["open"]})
    for n in (4, 2):  # the older one is for judging
        write_day(tmp_path / "data/sources" / f"dt={ago(n)}", catalogue)
    home = Storage(str(tmp_path))
    survey = survey_inputs(ours, AS_OF, open_catalog(ours, home))
    (clicks,), (sources,) = survey.events, survey.snapshots
    assert [part.day for part in clicks.partitions] == [ago(4), ago(3), ago(1)]
    read = {"clicks": clicks.partitions, "sources": (*sources.train.found, *sources.plan.found)}
    recorded = [
        {"name": name, "days": [{"day": one.day, "fingerprint": one.fingerprint, "rows": one.rows} for one in parts]}
        for name, parts in read.items()
    ]

    def found() -> list[str]:
        seen = list(input_differences(recorded, ours, manifest_of(), home))
        assert all(one.certain for one in seen)
        return [one.detail for one in seen]

    assert found() == []
    files[4].unlink()  # read for judging only
    assert found() == []
    pq.write_table(events(ago(3), (1, 2, "like"), (3, 2, "like")), files[3])
    files[1].unlink()
    (tmp_path / "data/clicks" / f"dt={ago(1)}" / "_SUCCESS").unlink()
    (tmp_path / "data/clicks" / f"dt={ago(1)}").rmdir()
    write_day(tmp_path / "data/clicks" / f"dt={ago(2)}", events(ago(2), (1, 2, "like")))
    write_day(tmp_path / "data/sources" / f"dt={ago(1)}", catalogue)
    assert found() == [
        f"dataset clicks, {ago(3)}: written or touched since (1 rows then, 2 now)",
        f"dataset clicks, {ago(2)}: a partition of 1 rows that was not there",
        f"dataset clicks, {ago(1)}: the partition of 1 rows is gone",
        f"dataset sources, {ago(2)}: the partition of 1 rows is gone",
        f"dataset sources, {ago(1)}: a partition of 1 rows that was not there",
    ]


def test_users_who_were_forgotten_since(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [1, 1, 2]}), tmp_path / "exclusions.parquet")
    pq.write_table(pa.table({"source_id": [7], "owner_id": pa.array([5], pa.int64())}), tmp_path / "sources.parquet")
    held = [ds.dataset(tmp_path / f"{name}.parquet") for name in ("exclusions", "sources")]

    def found(then: set[int], now: set[int]) -> list[Difference]:
        return list(forgotten_differences(finished(erased=Erased(frozenset(then))), Erased(frozenset(now)), held))

    assert found(set(), set()) == []
    assert found({1}, {1}) == []
    (stranger,) = found({8}, {8, 9})
    assert (stranger.certain, "holds no rows" in stranger.detail) == (False, True)
    (known,) = found({8}, {8, 1})
    assert known.certain
    assert "2 users are forgotten now, 1 were; 2 rows of the run are theirs" in known.detail
    (owner,) = found(set(), {5})
    assert owner.certain
    (lost,) = found({8, 9}, {8})
    assert (lost.certain, "lost from Kafka" in lost.detail) == (True, True)


def test_the_factors_that_a_training_went_on_from(tmp_path: Path) -> None:
    home = Storage(str(tmp_path))
    before = "20261109T030000Z-20261109-1"
    folder = run_folder(home, "test", before)
    assert list(start_differences(finished(), home)) == []
    tables = ("user_factors", contract.user_factors("int64")), ("source_factors", contract.source_factors("int64"))
    for name, schema in tables:
        row = dict(zip(schema.names, (1, [0.5]), strict=True))
        folder.write_table(name, pa.Table.from_pylist([row], schema).to_batches(), schema)
    warm = finished(training={"from_run": before, "from_digest": digest_of_factors(folder)})
    assert list(start_differences(warm, home)) == []
    (other,) = start_differences(finished(training={"from_run": before, "from_digest": "c0ffee"}), home)
    assert (other.certain, "are other ones now" in other.detail) == (True, True)
    folder.delete("source_factors")
    (gone,) = start_differences(warm, home)
    assert (gone.certain, f"run {before}, which are gone" in gone.detail) == (True, True)


def test_code_libraries_platform_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(found: Any) -> list[tuple[str, str]]:
        seen = list(found)
        assert not any(one.certain for one in seen)
        return [(one.what, one.detail) for one in seen]

    monkeypatch.setenv("DISCOVERY_CODE_VERSION", "v2")
    assert named(code_differences(finished("v2"))) == []
    assert named(code_differences(finished("v1"))) == [("code version", "features, train, topn by v1, here is v2")]
    monkeypatch.setenv("DISCOVERY_CODE_VERSION", "abc+changes")
    ((_, detail),) = named(code_differences(finished("abc+changes")))
    assert "which cannot be compared" in detail

    here = library_versions()
    assert named(library_differences(finished(libraries=here))) == []
    older = {name: version for name, version in here.items() if name != "python"} | {"scipy": "0.1"}
    assert named(library_differences(finished(libraries=older))) == [
        ("library version", f"scipy 0.1 then, {here['scipy']} now"),
        ("platform", f"python not recorded then, {here['python']} now"),
    ]

    ours = settings().model_copy(update={"train": AlsSettings(threads=2)})
    assert named(thread_differences(finished(training={"threads": 2}), ours)) == []
    assert named(thread_differences(finished(), ours)) == []
    ((what, detail),) = named(thread_differences(finished(training={"threads": 8}), ours))
    assert (what, detail[:15]) == ("thread count", "8 then, 2 now (")


def test_the_verdict_names_the_first_table_and_the_first_cause() -> None:
    same = TableComparison("interactions", 9, "aa", "aa", None)
    other = TableComparison("lists", 4, "aa", "bb", Differing(2, 4, "user_id 3 (scores)"))
    code, threads = Difference("code version", "v1, here is v2"), Difference("thread count", "8 then, 2 now")

    def said(*tables: TableComparison, differences: tuple[Difference, ...] = ()) -> Any:
        return reproduction(Reproduction(finished(), differences, tables, None)).data

    assert said(same)["reproduced"]
    assert said(same, differences=(code,))["reproduced"]
    told = said(same, other, differences=(code, threads))
    assert (told["reproduced"], [one["same"] for one in told["tables"]]) == (False, [True, False])
    assert told["verdict"] == (
        "not reproduced: the first table that differs is lists (2 of 4 rows, the first: user_id 3 (scores)); "
        "what differs in its making: code version: v1, here is v2"
    )
    assert "nothing differs in its making" in said(other)["verdict"]
    assert not said(differences=(Difference("config", "changed", certain=True),))["reproduced"]
