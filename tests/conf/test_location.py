"""A path or a URI is read in one way, and what nobody could read is refused with what would work."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conf.errors import ConfigError
from conf.location import SCHEMES, Location, is_folder_name, puzzles_spark

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(is_folder_name)
PATHS = (
    st.lists(NAMES, min_size=1, max_size=4)
    .map(lambda names: "/" + "/".join(names))
    .filter(lambda path: not puzzles_spark(path))
)


@given(PATHS)
def test_a_path_and_its_uri_are_one_place(path: str) -> None:
    wanted = Location("file", "", path)
    for said in (path, f"{path}/", f"file://{quote(path)}", f"file:{quote(path)}", f"FILE://localhost{quote(path)}"):
        assert Location.parse(said) == wanted
    assert str(wanted) == path


@given(PATHS, st.sampled_from(["s3://b", "s3a://b", "S3A://b", "gs://b", "hdfs://nn:8020", "hdfs://", "viewfs://c"]))
def test_a_storage_holds_literal_names(path: str, root: str) -> None:
    scheme, _, authority = root.partition("://")
    assume(scheme != "hdfs" or ":" not in path)
    found = Location.parse(root + quote(path))
    assert found == Location(SCHEMES[scheme.lower()], authority, path)
    assert Location.parse(str(found)) == found
    if ":" not in path:  # what looks like a URI stands for itself
        assert Location.parse(root).child(path[1:]) == found  # a relative path is not encoded


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    try:
        found = Location.parse(text)
    except ConfigError:
        return
    assert found.path.startswith("/")
    assert Location.parse(str(found)) == found


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://host/x", "http:// is known; write a path, or one of file://, s3://, s3a://, gs://"),
        ("wasbs://c@account/x", "wasbs:// is known"),
        ("s3:/b/x", "write s3://"),  # what pathlib makes of s3://b/x
        ("s3:b", "write s3://"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("file://elsewhere/x", "'elsewhere' is another machine; write file:///"),
        ("abfss://account.dfs.core.windows.net/x", "write abfss://container@account"),
        ("s3://b/x?region=eu", r"a URI with \? or #.*write %3F and %23"),
        ("file:///a%b", "write %25"),
        ("s3://b/%ff", "not UTF-8"),
        ("s3://b/%00", "NUL"),
        ("s3://b//x", "an empty name"),
        ("hdfs://nn/a/../x", "an empty name, . or .."),
        ("hdfs://nn/a/b%3Ac", "HDFS takes no colon in a name; rename the folder"),
        ("/a:[b]", "a path with a colon and one of"),
        ("/a\0", "NUL"),
        (os.fsdecode(b"/a\xff"), "not UTF-8"),
    ],
)
def test_what_nobody_could_read_is_refused_with_what_would_work(uri: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Location.parse(uri)


@pytest.mark.parametrize("uri", ["s3://AKIA:hunter2@b/x", "s3://AKIA:hun/hunter2@b/x", "abfss://c:hunter2@a/x"])
def test_keys_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"\*\*\*") as error:
        Location.parse(uri)
    assert "hunter2" not in str(error.value)


def test_relative_paths_and_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "releases/5").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/5")
    assert Location.parse("work").path == f"{tmp_path}/work"
    assert Location.parse("./a:/b").path == f"{tmp_path}/a:/b"
    assert Location.parse("current/../x").path == f"{tmp_path}/releases/x"  # as the file system goes
    assert Location.parse(str(tmp_path)).child("current").path == f"{tmp_path}/current"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "a:[b]", "\ud800"])
def test_names_that_no_folder_can_have(name: str) -> None:
    assert not is_folder_name(name)
