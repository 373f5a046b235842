"""The whole stack: owners that leave in every way, and up / down / status as a user types them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.servers import local_stack
from deploy.servers.errors import StackError, StackFileError
from deploy.servers.ports import is_free
from deploy.servers.processes import is_alive, start_time
from deploy.servers.stack_file import Entry, StackFile
from tests.deploy.checks import wait_until

# Tells its servers, then waits to be ended.
OWNER = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it, and so would we
from pathlib import Path
from deploy.servers.local_stack import LocalStack
with LocalStack(Path(sys.argv[1])) as stack:
    servers = [stack.redis, stack.broker]
    print(json.dumps([[s.pid for s in servers], [p for s in servers for p in s.ports]]), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_go_with_their_owner(tmp_path: Path, end: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert owner.stdout is not None
    pids, ports = json.loads(owner.stdout.readline())
    owner.stdout.close()
    servers = [(pid, start_time(pid)) for pid in pids]
    assert not any(is_free(port) for port in ports)

    os.killpg(owner.pid, end)  # the whole group, as Ctrl-C in a terminal does
    owner.wait(180)
    wait_until(lambda: not any(is_alive(*server) for server in servers) and all(is_free(port) for port in ports))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    local_stack.down(tmp_path)


def command(name: str, home: Path) -> int:
    return local_stack.main([name, "--home", str(home)])


def test_up_status_and_down_are_idempotent(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("status", home) == 3
    assert command("down", home) == 0
    assert command("up", home) == 0
    first = local_stack.status(home)
    environment = local_stack.running_environment(home)
    assert [entry.name for entry in first] == ["redis", "kafka"]
    assert "kafka: started" in capsys.readouterr().out

    assert command("up", home) == 0
    assert "kafka: already running" in capsys.readouterr().out
    assert local_stack.status(home) == first
    assert command("status", home) == 0
    assert f"REDIS_URL={environment['REDIS_URL']}" in capsys.readouterr().out

    loader = local_stack.start_detached(
        home, "loader", ["sh", "-c", "echo $GREETING; sleep 600"], {"GREETING": "hello"}, home / "loader.log"
    )
    assert local_stack.start_detached(home, "loader", ["false"], {}, home / "loader.log") == loader
    wait_until(lambda: "hello" in (home / "loader.log").read_text())

    assert [entry.name for entry in local_stack.down(home)] == ["loader", "kafka", "redis"]
    assert not any(entry.is_alive for entry in (*first, loader))
    assert command("down", home) == 0
    assert command("status", home) == 3
    assert not (home / "stack.json").exists()

    local_stack.up(home, fast_start=True)
    assert local_stack.running_environment(home) == environment  # the same ports


def test_up_replaces_what_died(home: Path) -> None:
    redis, kafka = local_stack.up(home, fast_start=True)
    os.kill(redis.pid, signal.SIGKILL)
    wait_until(lambda: not redis.is_alive)
    with pytest.raises(StackError, match="make up"):
        local_stack.running_environment(home)
    assert command("status", home) == 3
    new_redis, same_kafka = local_stack.up(home)
    assert same_kafka == kafka
    assert new_redis.pid != redis.pid
    assert new_redis.environment == redis.environment


def test_down_spares_a_stranger_with_the_number_of_a_dead_process(home: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        entry = Entry("loader", stranger.pid, start_time(stranger.pid) - 3600, str(home), "log", {})
        StackFile.read(home).with_entry(entry).write()
        assert local_stack.down(home) == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_unreadable_record_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stack.json").write_text("{}")
    with pytest.raises(StackFileError, match="not a record of a local stack"):
        local_stack.status(tmp_path)
    assert command("up", tmp_path) == 1
    assert "stack.json" in capsys.readouterr().err
