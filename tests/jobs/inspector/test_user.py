"""What is said of users of a made run: lists made again, sums that add up, and when nothing may be said."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.explain.world import PRODUCT, RUN, Size, make_world
from jobs.cli.views import explain as view
from jobs.inspector import rows
from jobs.inspector.archive import Archive
from jobs.inspector.forgotten import Forgotten
from jobs.inspector.looks import Looks
from jobs.inspector.user import Inspection, explain_user
from jobs.run.manifest import NoRun
from jobs.storage.bound_folder import ChangedSince
from jobs.storage.store import Storage
from models.explain.counterfactual import REMOVED
from models.explain.rules import Rule


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    home = tmp_path_factory.mktemp("explained")
    return home, make_world(Storage(str(home)), Size(users=300, sources=400, events=6_000, d=8, looked_at=10))


def inspect(home: Path, *, forgotten: Collection[int] = (), copies: bool = False) -> Inspection:
    at = Storage(str(home))
    erased = Forgotten(lambda: frozenset(forgotten))
    return Inspection(PRODUCT, Archive(at, PRODUCT, copies=copies), erased, Looks(at, PRODUCT), None)


def test_lists_are_made_again_and_sums_add_up(world: tuple[Path, list[int]]) -> None:
    home, users = world
    direct, copied = inspect(home), inspect(home, copies=True)
    for user in users:
        found = explain_user(direct, user, who="anna@here")
        assert (found.run, found.kind, found.rebuilt, found.missing_days) == (RUN, "personal", True, ())
        assert found.pairs
        assert all(pair.agrees for pair in found.pairs)
        for one in found.listed:
            score = one.score
            assert score.remainder is not None
            parts = [part.value for part in score.contributions]
            assert sum(parts) + score.others + score.remainder == pytest.approx(score.value, rel=1e-9)
        for one in found.listed:
            assert one.without is not None
            assert len(one.without.sources) == REMOVED
            assert {*one.without.sources} <= {pair.source for pair in found.pairs}
        assert explain_user(copied, user, who="anna@here").to_json() == found.to_json()
        json.dumps(found.to_json(), default=str)
        text = view.explanation(found).text
        assert f"user     {user}, treatment arm" in text
        assert "what places rest on" in text


def test_a_large_file_is_copied_in_pieces(
    world: tuple[Path, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, users = world
    monkeypatch.setattr(rows, "_PIECE_BYTES", 2**12)
    monkeypatch.setattr(rows, "_BATCH_ROWS", 100)
    order = [("source_id", "ascending"), ("reason", "ascending")]
    table, at = f"runs/{PRODUCT}/{RUN}/exclusions", Storage(str(tmp_path / "copy"))
    copied = rows.UserRows(rows.sorted_copy(Storage(str(home)), table, at))
    assert len(copied.files) > 10
    direct = rows.UserRows(Storage(str(home)), table)
    for user in [*users, 10**12]:
        found = [one.of(user, ["source_id", "reason"]) for one in (direct, copied)]
        assert found[0].sort_by(order).equals(found[1].sort_by(order))


def test_an_empty_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    nobody = pa.schema([("user_id", pa.int64()), ("day", pa.string())]).empty_table()
    pq.write_table(nobody, tmp_path / "table" / "part-0.parquet")
    copied = rows.UserRows(rows.sorted_copy(Storage(str(tmp_path)), "table", Storage(str(tmp_path / "copy"))))
    assert copied.of(3, ["day"]).schema == pa.schema([("day", pa.string())])


def test_why_one_source_is_or_is_not_listed(world: tuple[Path, list[int]]) -> None:
    home, users = world
    inspection = inspect(home)
    found = explain_user(inspection, users[0], who="anna@here")
    first, seen = found.listed[0], next(one for one in found.absent if one.rule is Rule.SEEN)
    about = explain_user(inspection, users[0], who="anna@here", source=first.source)
    assert about.source is not None
    assert about.source.listed == first
    assert "is in the list, place 1 of" in view.source(about).text
    assert "place    without " in view.source(about).text
    about = explain_user(inspection, users[0], who="anna@here", source=seen.source)
    assert about.source is not None
    assert about.source.absent == seen
    assert "by the rule seen" in view.source(about).text
    unknown = view.source(explain_user(inspection, users[0], who="anna@here", source=10**9))
    assert "the run does not know it" in unknown.text


def test_unknown_and_forgotten_users(world: tuple[Path, list[int]]) -> None:
    home, users = world
    found = explain_user(inspect(home), 10**12, who="anna@here")
    assert (found.state, found.kind, found.basis) == ("unknown", "fallback", None)
    hidden = explain_user(inspect(home, forgotten=[users[1]]), users[1], who="anna@here", run=RUN)
    assert (hidden.state, hidden.row, hidden.pairs, hidden.events, hidden.listed) == ("forgotten", None, (), (), ())
    assert "nothing is shown" in view.explanation(hidden).text
    lines = [json.loads(line) for file in (home / "looks" / PRODUCT).iterdir() for line in file.open()]
    assert [(line["who"], line["user"], line["run"]) for line in lines[-2:]] == [
        ("anna@here", 10**12, RUN),
        ("anna@here", None, RUN),
    ]


def test_what_was_changed_or_is_gone_is_refused(world: tuple[Path, list[int]], tmp_path: Path) -> None:
    home, users = world
    shutil.copytree(home, tmp_path / "home")
    inspection = inspect(tmp_path / "home")
    explain_user(inspection, users[0], who="anna@here")
    lists = next((tmp_path / "home" / "runs" / PRODUCT / RUN / "lists").glob("*.parquet"))
    lists.write_bytes(lists.read_bytes() + b" ")
    with pytest.raises(ChangedSince, match="table 'lists'"):
        explain_user(inspection, users[0], who="anna@here")
    shutil.rmtree(tmp_path / "home" / "runs" / PRODUCT / RUN)
    with pytest.raises(NoRun, match="is gone"):
        explain_user(inspection, users[0], who="anna@here", run=RUN)
