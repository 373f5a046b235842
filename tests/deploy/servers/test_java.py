"""Which Java is taken, and what a user without one is told."""

from pathlib import Path

import pytest

from deploy.servers.errors import JavaNotFound, StackError
from deploy.servers.java import find_java


def fake_java(folder: Path, version: str) -> Path:
    """A `java` that only tells its version, as real ones do: on the error output."""
    program = folder / "java"
    folder.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ("17.0.15", 17),
        ("21", 21),
        ("25-ea", 25),
    ],
)
def test_new_java_is_taken(tmp_path: Path, version: str, number: int) -> None:
    program = fake_java(tmp_path / "bin", version)
    java = find_java({"PATH": str(tmp_path / "bin")})
    assert (java.program, java.version, java.full_version) == (program, number, version)


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "16.0.1"])
def test_old_java_is_refused_with_advice(tmp_path: Path, version: str) -> None:
    fake_java(tmp_path / "bin", version)
    with pytest.raises(JavaNotFound, match=rf"Java 17 or newer is needed.*openjdk-17.*JAVA_HOME.*is {version}"):
        find_java({"PATH": str(tmp_path / "bin")})


def test_missing_java_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"install a JRE.*no java in JAVA_HOME or PATH"):
        find_java({"PATH": str(tmp_path)})


def test_java_home_comes_before_path(tmp_path: Path) -> None:
    chosen = fake_java(tmp_path / "home" / "bin", "21.0.1")
    fake_java(tmp_path / "bin", "17.0.1")
    assert find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}).program == chosen


def test_old_java_home_does_not_hide_a_good_java_in_path(tmp_path: Path) -> None:
    fake_java(tmp_path / "home" / "bin", "11.0.2")
    good = fake_java(tmp_path / "bin", "17.0.1")
    assert find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}).program == good


def test_broken_java_is_named(tmp_path: Path) -> None:
    program = fake_java(tmp_path / "bin", "17.0.1")
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(JavaNotFound, match="reports no version"):
        find_java({"PATH": str(tmp_path / "bin")})
