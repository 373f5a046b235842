"""The jar cache against a real Ivy that downloads from a repository in a local folder."""

import hashlib
import threading
from pathlib import Path

import pytest

from deploy.servers.errors import JarFetchFailed, JarHashMismatch
from deploy.servers.java import Java, find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars, kafka_folder, read_lock

CONTENT = {"one": b"first jar", "two": b"second jar"}
NO_JAVA = Java(Path("no-java-is-needed"), full_version="17", version=17)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two jars that Ivy is told to download from."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / f"{name}-1.0.jar").write_bytes(content)
    settings = tmp_path / "mirror.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="mirror"/><resolvers><filesystem name="mirror">'
        f'<artifact pattern="{folder}/[artifact]-[revision].[ext]"/></filesystem></resolvers></ivysettings>'
    )
    monkeypatch.setenv("DISCOVERY_IVY_SETTINGS", str(settings))
    return folder


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    """A lock file that names the two jars with their true hashes."""
    lock = tmp_path / "kafka-jars.lock"
    lock.write_text("".join(f"{hashlib.sha256(c).hexdigest()} org.test:{n}:1.0\n" for n, c in CONTENT.items()))
    return lock


def cached(cache: Path, name: str) -> Path:
    return kafka_folder(cache) / "jars" / f"{name}-1.0.jar"


def test_fetches_into_an_empty_cache_and_then_needs_no_java(tmp_path: Path, repository: Path, lock_file: Path) -> None:
    cache = tmp_path / "a cache (new)"
    jars = ensure_jars(find_java(), cache, lock_file=lock_file)
    assert [jar.read_bytes() for jar in jars] == list(CONTENT.values())
    assert sorted(path.name for path in kafka_folder(cache).iterdir()) == ["jars", "jars.lock"]  # no scratch left
    assert ensure_jars(NO_JAVA, cache, lock_file=lock_file) == jars


def test_one_of_several_files_of_an_artifact(tmp_path: Path, repository: Path) -> None:
    settings = tmp_path / "mirror.xml"
    settings.write_text(settings.read_text().replace("[revision].[ext]", "[revision](-[classifier]).[ext]"))
    (repository / "one-1.0-whole.jar").write_bytes(b"first jar and more")
    lock = tmp_path / "whole.lock"
    lock.write_text(f"{hashlib.sha256(b'first jar and more').hexdigest()} org.test:one:1.0:whole\n")
    (jar,) = ensure_jars(find_java(), tmp_path, lock_file=lock)
    assert (jar.name, jar.read_bytes()) == ("one-1.0-whole.jar", b"first jar and more")


def test_corrupt_jar_is_fetched_again(tmp_path: Path, repository: Path, lock_file: Path) -> None:
    ensure_jars(find_java(), tmp_path, lock_file=lock_file)
    cached(tmp_path, "one").write_bytes(b"half a j")
    (repository / "two-1.0.jar").unlink()  # only what is corrupt is asked for
    ensure_jars(find_java(), tmp_path, lock_file=lock_file)
    assert cached(tmp_path, "one").read_bytes() == CONTENT["one"]


def test_wrong_hash_is_refused_and_leaves_nothing_to_use(tmp_path: Path, repository: Path, lock_file: Path) -> None:
    (repository / "two-1.0.jar").write_bytes(b"not what was locked")
    with pytest.raises(JarHashMismatch, match=r"org\.test:two:1\.0 .*sha256 [0-9a-f]{64}.*kafka-jars\.lock wants"):
        ensure_jars(find_java(), tmp_path, lock_file=lock_file)
    assert list((kafka_folder(tmp_path) / "jars").iterdir()) == []


def test_missing_jar_says_what_to_do(tmp_path: Path, repository: Path, lock_file: Path) -> None:
    (repository / "two-1.0.jar").unlink()
    with pytest.raises(
        JarFetchFailed, match=r"could not be downloaded.*network.*mirror(.|\n)*org\.test#two;1\.0: not found"
    ):
        ensure_jars(find_java(), tmp_path, lock_file=lock_file)


def test_two_at_a_time_fetch_once(tmp_path: Path, repository: Path, lock_file: Path) -> None:
    java = find_java()
    results: list[tuple[Path, ...]] = []
    threads = [
        threading.Thread(target=lambda: results.append(ensure_jars(java, tmp_path, lock_file=lock_file)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert all(jar.is_file() for jar in results[0])


def test_cache_folder_follows_the_environment() -> None:
    assert cache_folder({"DISCOVERY_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/discovery")
    assert cache_folder({}) == Path.home() / ".cache" / "discovery"


def test_the_real_lock_names_each_file_once() -> None:
    jars = read_lock()
    assert len({jar.file_name for jar in jars}) == len(jars) == 46
    assert all(len(jar.sha256) == 64 for jar in jars)
