"""What a stage reads is what the stage before left; anything else is refused by name."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.storage.bound_folder import BoundFolder, ChangedSince, StageOutput
from jobs.storage.errors import AlreadyFinished, NotFinished

RUN = "20261116T030000Z-20261116-1"
SCHEMA = pa.schema([("user_id", pa.int64()), ("source_ids", pa.list_(pa.int64())), ("score", pa.float32())])
ROWS = [{"user_id": user, "source_ids": [user, 7], "score": user / 2} for user in range(1, 6)]


def folder_of(at: Path, outputs: dict[str, StageOutput] | None = {}, stage: str = "topn") -> BoundFolder:  # noqa: B006
    folder = BoundFolder(str(at), RUN, outputs, remedy="start a new run")
    folder.begin(stage)
    return folder


def write(folder: BoundFolder, table: str, rows: list[dict[str, Any]] = ROWS) -> None:
    folder.write_table(table, pa.Table.from_pylist(rows, SCHEMA).to_batches(2), SCHEMA)


def rows_of(folder: BoundFolder, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = folder.table(table).to_table().to_pylist()
    return found


def rewrite(at: Path, table: str, rows: list[dict[str, Any]]) -> None:
    """By hand, and the marker stays."""
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), at / table / "part-0.parquet")


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ChangedSince) as caught:
        read()
    assert caught.value.exit_code == 2
    assert str(caught.value).endswith("; start a new run")
    return str(caught.value)


@pytest.fixture
def left(tmp_path: Path) -> Callable[[], BoundFolder]:
    """What stage `topn` left, as stage `publish` finds it: `lists`, `fallback.json`."""
    folder = folder_of(tmp_path)
    write(folder, "lists")
    folder.write_bytes("fallback.json", b"[1, 2]")
    made = folder.made()
    assert made.keys() == {"lists", "fallback.json"}
    return lambda: folder_of(tmp_path, {name: StageOutput("topn", sha256) for name, sha256 in made.items()}, "publish")


def test_what_was_left_is_given(left: Callable[[], BoundFolder], tmp_path: Path) -> None:
    folder = left()
    assert rows_of(folder, "lists") == ROWS
    assert folder.read_bound("fallback.json") == folder.read_bytes("fallback.json") == b"[1, 2]"
    os.utime(tmp_path / "lists/part-0.parquet", ns=(1, 1))
    (tmp_path / "lists/.part-0.parquet.crc").write_bytes(b"no reader sees it")
    assert folder.made() == {}
    with pytest.raises(AlreadyFinished):
        write(folder, "lists")


ROW = st.fixed_dictionaries(
    {
        "user_id": st.none() | st.integers(-(2**63), 2**63 - 1),
        "source_ids": st.none() | st.lists(st.integers(0, 9), max_size=3),
        "score": st.none() | st.floats(width=32, allow_nan=False),
    }
)


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(ROW, min_size=1, max_size=5), data=st.data())
def test_any_cell(rows: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    at = tmp_path_factory.mktemp("run")
    write(folder_of(at), "lists", rows)
    place, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(SCHEMA.names))
    other = data.draw(ROW.filter(lambda row: repr(row[column]) != repr(rows[place][column])))  # −0.0 is not 0.0
    rewrite(at, "lists", [*rows[:place], {**rows[place], column: other[column]}, *rows[place + 1 :]])
    assert "table 'lists'" in refusal(lambda: folder_of(at).table("lists"))


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_any_byte(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    at = tmp_path_factory.mktemp("run")
    write(folder_of(at), "lists")
    file = at / "lists/part-0.parquet"
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    assert "table 'lists'" in refusal(lambda: folder_of(at).table("lists"))


FILES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda lists: shutil.copy(lists / "part-0.parquet", lists / "part-1.parquet"),
    "a file more, deeper": lambda lists: shutil.copytree(lists, lists.parent / "lists.x").rename(lists / "x=1"),
    "another name": lambda lists: (lists / "part-0.parquet").rename(lists / "part-1.parquet"),
    "no file": lambda lists: (lists / "part-0.parquet").unlink(),
    "another row group": lambda lists: pq.write_table(
        pq.read_table(lists / "part-0.parquet"), lists / "part-0.parquet", row_group_size=1
    ),
}


@pytest.mark.parametrize("change", FILES)
def test_other_files(left: Callable[[], BoundFolder], tmp_path: Path, change: str) -> None:
    folder = left()
    FILES[change](tmp_path / "lists")
    said = refusal(lambda: folder.table("lists"))
    assert f"table 'lists' of run {RUN} was changed since stage topn left it (in {tmp_path})" in said


def test_what_is_gone(left: Callable[[], BoundFolder], tmp_path: Path) -> None:
    folder = left()
    (tmp_path / "lists/_SUCCESS").unlink()
    for look in (folder.finished, folder.table):
        assert "table 'lists'" in refusal(lambda look=look: look("lists"))  # type: ignore[misc]
    (tmp_path / "fallback.json").unlink()
    for read in (folder.exists, folder.read_bytes, folder.read_bound):
        said = refusal(lambda read=read: read("fallback.json"))  # type: ignore[misc]
        assert "file 'fallback.json'" in said
        assert "is gone; stage topn left one" in said


def test_a_file_that_was_changed(left: Callable[[], BoundFolder], tmp_path: Path) -> None:
    folder = left()
    (tmp_path / "fallback.json").write_bytes(b"[2, 1]")
    for read in (folder.read_bytes, folder.read_bound):
        said = refusal(lambda read=read: read("fallback.json"))  # type: ignore[misc]
        assert f"file 'fallback.json' of run {RUN} was changed since stage topn left it" in said


def test_what_no_stage_of_the_run_made(left: Callable[[], BoundFolder], tmp_path: Path) -> None:
    """An audience that appears between two stages would change who gets lists."""
    folder = left()
    shutil.copytree(tmp_path / "lists", tmp_path / "audience")
    assert "table 'audience' of run" in refusal(lambda: folder.finished("audience"))
    assert "is of no stage" in refusal(lambda: folder.table("audience"))
    (tmp_path / "audience/_SUCCESS").write_bytes(b"")
    assert not folder.finished("audience"), "as if it were half written"
    with pytest.raises(NotFinished):
        folder.table("audience")
    (tmp_path / "gate_lists.json").write_bytes(b"{}")
    assert "file 'gate_lists.json' of run" in refusal(lambda: folder.read_bound("gate_lists.json"))
    shutil.copytree(tmp_path / "lists", tmp_path / "lists.before-i-looked")
    assert folder.made().keys() == {"gate_lists.json"}, "a copy that nobody reads stops nothing"


def test_a_table_is_not_finished_if_what_it_was_made_of_has_changed(
    left: Callable[[], BoundFolder], tmp_path: Path
) -> None:
    folder = left()
    content = (tmp_path / "lists/part-0.parquet").read_bytes()
    folder.table("lists")
    rewrite(tmp_path, "lists", ROWS[1:])
    said = refusal(lambda: write(folder, "snapshot"))
    assert "table 'lists'" in said
    assert "was changed while stage publish worked on it" in said
    assert refusal(folder.check_again) == refusal(folder.made) == said
    (tmp_path / "lists/part-0.parquet").write_bytes(content)
    folder.check_again()
    assert not left().finished("snapshot"), "the next attempt must not take what was made of other lists"


def test_what_a_stage_writes_must_not_change_before_it_ends(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write(folder, "lists")
    folder.write_bytes("gate_lists.json", b"{}")
    (tmp_path / "gate_lists.json").write_bytes(b"{} ")
    assert "file 'gate_lists.json'" in refusal(folder.made)
    folder.write_bytes("gate_lists.json", b"{}")
    rewrite(tmp_path, "lists", ROWS[1:])
    assert "table 'lists'" in refusal(folder.made)


def test_the_attempt_after_takes_what_the_one_before_finished(tmp_path: Path) -> None:
    write(folder_of(tmp_path), "lists")
    again = folder_of(tmp_path)
    assert again.finished("lists")
    assert rows_of(again, "lists") == ROWS
    assert again.made().keys() == {"lists"}
    assert "is of no stage" in refusal(lambda: folder_of(tmp_path, stage="publish").finished("lists"))
    again.delete("lists")
    write(again, "lists", ROWS[:1])
    rewrite(tmp_path, "lists", ROWS)
    said = refusal(lambda: folder_of(tmp_path).table("lists"))
    assert "was changed since an attempt of stage topn finished it" in said


@pytest.mark.parametrize("marker", [b"", b"{", b"[]", b"null", b"{}", b'"x"'])
def test_a_marker_of_somebody_else_finishes_nothing(tmp_path: Path, marker: bytes) -> None:
    write(folder_of(tmp_path), "lists")
    (tmp_path / "lists/_SUCCESS").write_bytes(marker)
    folder = folder_of(tmp_path)
    assert not folder.finished("lists")
    write(folder, "lists", ROWS[:1])
    assert rows_of(folder_of(tmp_path), "lists") == ROWS[:1]


def test_another_run_that_is_read_must_stay_as_it_is(left: Callable[[], BoundFolder], tmp_path: Path) -> None:
    former, now = left(), folder_of(tmp_path / "now")
    now.depend_on(former)
    former.table("lists")
    write(now, "user_factors")
    rewrite(tmp_path, "lists", ROWS[1:])
    assert "table 'lists'" in refusal(now.made)
    now.begin("publish")
    now.check_again()


CONTENT: dict[str, Any] = {"winner": "champion", "curve": [{"step": 1, "ndcg": 0.25}], "reason": "“so”"}


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {**said, "winner": "challenger"},
        lambda said: {**said, "more": 1},
        lambda said: {name: value for name, value in said.items() if name != "reason"},
        lambda said: {name: value for name, value in said.items() if name != "made_by"},
        lambda said: {**said, "made_by": None},
        lambda said: [said],
    ],
)
def test_a_document_of_the_attempt_before(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    folder_of(tmp_path).write_document("decision.json", CONTENT)
    folder = folder_of(tmp_path)
    assert folder.read_document("decision.json") == CONTENT
    content = (tmp_path / "decision.json").read_text()
    (tmp_path / "decision.json").write_text(json.dumps(change(json.loads(content))))
    assert "file 'decision.json'" in refusal(lambda: folder.read_document("decision.json"))
    (tmp_path / "decision.json").write_text(content[:-1])
    assert "file 'decision.json'" in refusal(lambda: folder.read_document("decision.json"))


def test_a_run_of_code_that_kept_no_digests(tmp_path: Path) -> None:
    write(folder_of(tmp_path), "lists")
    (tmp_path / "lists/_SUCCESS").write_bytes(b"")
    (tmp_path / "gate_lists.json").write_bytes(b"{}")
    older = folder_of(tmp_path, None)
    assert older.finished("lists")
    assert rows_of(older, "lists") == ROWS
    assert older.read_bound("gate_lists.json") == older.read_bytes("gate_lists.json") == b"{}"
    assert not older.exists("fallback.json")
