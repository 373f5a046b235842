"""`discovery export`: as a service until SIGTERM, as a file for node_exporter, and what it refuses."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from jobs.export.collect import Exporter
from jobs.export.server import application_of
from jobs.storage.store import Storage
from publish.connect.rights import Role
from publish.wire.announcement import Announcement
from tests.jobs.commands import Discovery
from tests.jobs.export.full import settings_of, write_run
from tests.jobs.export.test_collect import AWAY
from tests.publish.support.acl_users import connection_as, drop_users, make_users

SCRIPT = [sys.executable, "-c", "from jobs.cli import main; main()", "export"]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=180) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_serves_until_sigterm(serving: Announcement, product: str) -> None:
    started = subprocess.Popen([*SCRIPT, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert started.stderr is not None
        said = next(line for line in started.stderr if " at http" in line)
        url = re.search(r"http://127\.0\.0\.1:[1-9]\d*/metrics", said)
        assert url is not None
        status, text = get(url[0])
        assert status == 200
        assert f'discovery_serving_treatment{{product="{product}"}} 1.0' in text
        assert get(url[0].replace("/metrics", "/health")) == (200, "alive\n")
        assert get(url[0].replace("/metrics", "/elsewhere"))[0] == 404
        started.send_signal(signal.SIGTERM)
        assert started.wait(180) == 0
        assert "ended" in started.stderr.read()
    finally:
        started.kill()
        started.wait()
        assert started.stderr is not None
        started.stderr.close()


def test_a_scrape_that_is_under_way_is_answered_before_it_ends(tmp_path: Path) -> None:
    """The server's part: it closes when every answer is given."""
    from jobs.cli.listening import listening, url_of
    from jobs.export.server import serve_until

    begun, go_on, stop, answers = (*(threading.Event() for _ in range(3)), list[tuple[int, str]]())
    exporter = Exporter.of([settings_of("groups")], Storage(str(tmp_path)), AWAY, seconds=60)
    collect = exporter.collect

    def slowly():  # type: ignore[no-untyped-def]
        begun.set()
        go_on.wait(180)
        return collect()

    registry = exporter.registry
    exporter.collect = slowly  # type: ignore[method-assign]
    with listening("127.0.0.1", 0) as made:
        server = threading.Thread(target=serve_until, args=[stop, made, registry])
        server.start()
        asking = threading.Thread(target=lambda: answers.append(get(f"{url_of(made)}/metrics")))
        asking.start()
        assert begun.wait(180)
        stop.set()
        go_on.set()
        asking.join(180)
        server.join(180)
        assert not server.is_alive()
    ((status, text),) = answers
    assert status == 200
    assert "discovery_export_source_up" in text
    assert callable(application_of(registry))


def test_a_file_is_written_as_a_whole(
    discovery: Discovery, serving: Announcement, tmp_path: Path, product: str
) -> None:
    write_run(Storage(str(tmp_path / "home")), product)
    path = tmp_path / "discovery.prom"
    path.write_text("old")
    before = path.stat().st_ino
    assert discovery("export", "--textfile", str(path)).code == 0
    text = path.read_text()
    assert f'discovery_run_last_failed{{product="{product}"}} 0.0' in text
    assert (path.stat().st_ino != before, stat.S_IMODE(path.stat().st_mode)) == (True, 0o644)
    assert [one.name for one in tmp_path.iterdir() if "prom" in one.name] == ["discovery.prom"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    discovery: Discovery, serving: Announcement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "discovery.prom"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    result = discovery("export", "--textfile", str(path))
    assert (result.code, path.read_text()) == (1, "old")
    assert "No space left on device; the old file, if any, is as it was" in result.log
    assert not list(tmp_path.glob(".discovery*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--textfile", "{tmp}/metrics.txt"), "node_exporter reads files that end with .prom only"),
        (("--textfile", "{tmp}/nowhere/a.prom"), "there is no folder {tmp}/nowhere"),
        (("--textfile", "{tmp}/a.prom", "--port", "0"), "--port and --textfile"),
        (("--config", "{tmp}/product.yml", "--config", "{tmp}/product.yml"), "is in more than one --config"),
        (("--config", "{tmp}/gone.yml"), "gone.yml"),
        (("--host", "no.such.host.invalid"), "is no address of this machine"),
        (("--port", "70000"), "--port"),
    ],
)
def test_what_cannot_be_is_refused(
    discovery: Discovery, product: str, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = discovery("export", *(word.format(tmp=tmp_path) for word in words))
    assert result.code == 2
    assert said.format(tmp=tmp_path) in result.log


def test_a_port_that_is_taken_is_named(discovery: Discovery, product: str) -> None:
    from jobs.cli.listening import listening

    with listening("127.0.0.1", 0) as made:
        port = made.getsockname()[1]
        result = discovery("export", "--port", str(port))
    assert result.code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use; take another --port\n" in result.log


def test_a_right_that_is_missing_is_named_at_the_start(
    discovery: Discovery, serving: Announcement, product: str, redis_url: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import redis

    with redis.Redis.from_url(redis_url) as admin:
        make_users(admin, product)
        try:
            as_exporter = connection_as(redis_url, product, Role.EXPORTER)
            assert as_exporter.password is not None
            monkeypatch.setenv("REDIS_URL", redis_url)
            monkeypatch.setenv("REDIS_USERNAME", f"{product}-exporter")
            monkeypatch.setenv("REDIS_PASSWORD", as_exporter.password.get_secret_value())
            path = tmp_path / "a.prom"
            assert discovery("export", "--textfile", str(path)).code == 0
            assert f'discovery_export_source_up{{product="{product}",source="redis"}} 1.0' in path.read_text()
            admin.execute_command("ACL", "SETUSER", f"{product}-exporter", "-lrange")
            result = discovery("export", "--textfile", str(path))
            assert result.code == 1
            assert f"what the exporter of {product} must do: LRANGE" in result.log
        finally:
            drop_users(admin, product)


def test_redis_that_is_away_is_exported(
    discovery: Discovery, product: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    other = yaml.safe_load((tmp_path / "product.yml").read_text()) | {"product": "music"}
    (tmp_path / "music.yml").write_text(yaml.safe_dump(other))
    path = tmp_path / "a.prom"
    words = (word for name in ("product", "music") for word in ("--config", str(tmp_path / f"{name}.yml")))
    result = discovery("export", *words, "--textfile", str(path))
    assert result.code == 0
    assert "until it answers, what it knows is not exported" in result.log
    text = path.read_text()
    for one in (product, "music"):
        assert f'discovery_redis_up{{product="{one}"}} 0.0' in text
        assert f'discovery_export_source_up{{product="{one}",source="runs"}} 1.0' in text
