"""The service as a process: how it starts, what it says while Redis is away, how it ends without a failed request."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import redis

from deploy.servers.redis_server import RedisServer
from publish.connect.rights import Role
from tests.publish.read.test_async_reader import fill as fill_cluster
from tests.publish.serve.conftest import fill
from tests.publish.support.acl_users import make_users, password_of
from tests.publish.support.pushing import eventually
from tests.publish.support.samples import Lists, announcement_of, closed_port
from tests.publish.support.serving import RunningService, authorized, replied, serving, starting
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_sentinel import WatchedRedis


class Asked(NamedTuple):
    """What became of many requests: what went wrong, and how many replies each connection got."""

    failures: list[str]
    replies: list[int]


@contextmanager
def asking(service: RunningService) -> Iterator[Asked]:
    """Asks on kept connections within the block."""
    failures: list[str] = []
    over = threading.Event()
    asked = [0] * 4

    def ask(place: int) -> None:
        connection = HTTPConnection("127.0.0.1", service.port, timeout=180)
        while not over.is_set():
            try:
                connection.request("GET", "/v1/lists/1", headers=authorized("a-token-of-the-tests-0123456789"))
                reply = replied(connection.getresponse())
                if reply.status != 200:
                    failures.append(str(reply.status))
                if reply.headers.get("connection") == "close":
                    connection.close()
                asked[place] += 1
            except OSError as error:
                failures.append(repr(error))
                connection.close()

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: min(asked) > 5)
    try:
        yield Asked(failures, asked)
        before = sum(asked)
        eventually(lambda: sum(asked) > before + 20)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_redis_that_goes_and_comes_back(folder: Path, tmp_path: Path) -> None:
    with (
        RedisServer(tmp_path / "redis") as server,
        redis.Redis.from_url(server.url) as client,
        serving(folder, server.url, bounds={"redis_timeout_seconds": 1.0}) as service,
    ):
        eventually(lambda: service.error() == "unavailable")
        for reply in (service.ask("/readyz"), service.ask("/v1/lists/1"), service.post({"users": ["1", "x"]})):
            assert (reply.status, reply.word, reply.headers["retry-after"]) == (503, "unavailable", "1")
            assert "nothing is published" in reply.data["message"]
        fill(client)
        for path in ("/readyz", "/v1/lists/1"):
            eventually(lambda: service.error(path) is None)  # noqa: B023
        os.kill(server.pid, signal.SIGSTOP)
        try:
            replies = [service.ask("/v1/lists/1"), service.ask("/readyz"), service.post({"users": ["1", "2"]})]
        finally:
            os.kill(server.pid, signal.SIGCONT)
        for reply in replies:
            assert (reply.status, reply.word) == (503, "redis")
            assert "in time" in reply.data["message"]
        eventually(lambda: service.error("/readyz") is None)
        server.kill()
        assert service.ask("/v1/lists/1").word == "redis"
        assert service.ask("/healthz").status == 200
        server.start()
        client.flushall()
        fill(client)
        eventually(lambda: service.ask("/v1/lists/1").status == 200)
        client.set("{groups}:ptr", "{")
        eventually(lambda: service.error() == "unreadable")  # not what it knew before


def test_it_starts_without_redis_and_says_so(folder: Path) -> None:
    with serving(folder, f"redis://127.0.0.1:{closed_port()}/0") as service:
        assert "cannot be reached" in service.said
        assert service.ask("/readyz").word == "redis"
        assert service.stop() == 0


def test_a_rollback_reaches_everybody_within_two_seconds(folder: Path, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        fill(client)
        with serving(folder, server.url) as service:
            assert service.ask("/v1/lists/4").data["run"] == "run-old"
            pointer = client.get("{groups}:ptr")
            client.set("{groups}:ptr", pointer.replace(b'"control":"run-old"', b'"control":null'))
            time.sleep(2.1)
            found = service.ask("/v1/lists/4").data
            assert (found["kind"], found["run"], found["age_seconds"]) == ("control", None, None)


def test_string_ids_may_hold_anything(folder: Path, tmp_path: Path) -> None:
    lists: Lists = {"жук/a b?&": ["a", 'quoted " \\', "ж"], "7": ["c"]}
    from tests.publish.read.test_reader import load, point

    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        load(client, announcement_of(lists, run="text", ids="string", fallback=("z",), list_size=3), lists)
        point(client, treatment="text")
        with serving(folder, server.url, ids="string") as service:
            user = "%D0%B6%D1%83%D0%BA%2Fa%20b%3F%26"
            found = service.ask(f"/v1/lists/{user}").data
            assert (found["user_id"], found["source_ids"]) == ("жук/a b?&", ["a", 'quoted " \\', "ж"])
            assert service.ask(f"/v1/lists/{user}?exclude=a,%D0%B6").data["source_ids"] == ['quoted " \\']
            assert service.ask("/v1/lists/007").data["source_ids"] == ["z"]
            assert service.ask("/v1/lists/%00").word == "bad_user"
            assert service.ask("/v1/lists/" + "x" * 256).word == "bad_user"
            assert service.ask("/v1/lists/%ed%a0%80").word == "bad_user"  # half a surrogate pair


def test_on_a_cluster(folder: Path, cluster: RedisCluster, store: redis.RedisCluster) -> None:
    fill_cluster(store)
    with serving(folder, cluster.url) as service:
        assert [service.ask(f"/v1/lists/{user}").status for user in range(1, 10)] == [200] * 9


def test_behind_sentinel_through_its_fail_over(folder: Path, tmp_path: Path) -> None:
    with WatchedRedis(tmp_path / "redis") as servers, redis.Redis.from_url(servers.master.url) as client:
        fill(client)
        assert client.wait(1, 180_000) == 1
        with serving(folder, servers.url) as service:
            assert service.ask("/v1/lists/1").status == 200
            servers.kill_master()
            assert service.ask("/v1/lists/1").word == "redis"
            eventually(lambda: service.error() is None)


def test_the_rights_of_a_reader_are_enough(folder: Path, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        fill(client)
        make_users(client, "groups")
        variables = {"REDIS_USERNAME": "groups-reader", "REDIS_PASSWORD": password_of(Role.READER)}
        with serving(folder, server.url, variables=variables) as service:
            assert {service.ask(f"/v1/lists/{user}").status for user in range(1, 10)} == {200}
            assert service.ask("/readyz").status == 200
        with serving(folder, server.url, variables={**variables, "REDIS_PASSWORD": "planted-and-wrong"}) as service:
            reply = service.ask("/v1/lists/1")
            assert (reply.status, reply.word) == (503, "redis")
            assert "REDIS_PASSWORD" in reply.data["message"]
            assert "planted" not in service.said + reply.data["message"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told(filled_redis: RedisServer, folder: Path, number: signal.Signals) -> None:
    with serving(folder, filled_redis.url) as service:
        idle = socket.create_connection(("127.0.0.1", service.port))
        if number is signal.SIGTERM:
            idle.close()
        assert service.stop(number) == 0
        assert "ended" in service.said
        idle.close()


def test_readyz_goes_first(filled_redis: RedisServer, folder: Path) -> None:
    with serving(folder, filled_redis.url, bounds={"drain_delay_seconds": 300.0}) as service:
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: service.ask("/readyz").status == 503)
        assert service.ask("/readyz").word == "draining"
        assert service.ask("/v1/lists/1").status == 200  # it still answers, on new connections, too
        assert service.stop() == 0  # told twice, it does not wait


def test_open_connections_end_with_an_answer(filled_redis: RedisServer, folder: Path) -> None:
    with serving(folder, filled_redis.url, bounds={"drain_delay_seconds": 0.2, "drain_seconds": 300}) as service:
        kept = HTTPConnection("127.0.0.1", service.port, timeout=180)
        token = authorized("a-token-of-the-tests-0123456789")
        kept.request("GET", "/v1/lists/1", headers=token)
        assert replied(kept.getresponse()).headers.get("connection") != "close"
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _listens(service.port))
        assert service.process.poll() is None  # it waits for the connection that is open
        kept.request("GET", "/v1/lists/1", headers=token)
        last = replied(kept.getresponse())
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert service.process.wait(180) == 0


def test_two_services_on_one_port_are_replaced_without_a_failed_request(
    filled_redis: RedisServer, folder: Path
) -> None:
    with serving(folder / "one", filled_redis.url, "--reuse-port") as one:
        port = ("--port", str(one.port), "--reuse-port")
        with (
            serving(folder / "two", filled_redis.url, *port) as two,
            starting(folder / "three", filled_redis.url, *port) as three,
            asking(one) as asked,
        ):
            assert one.stop() == 0
            three.wait_until_it_listens()
            assert two.stop() == 0
        assert asked.failures == []


def test_several_processes(filled_redis: RedisServer, folder: Path) -> None:
    with serving(folder, filled_redis.url, "--processes", "2") as service:
        parent = psutil.Process(service.process.pid)
        eventually(lambda: len(parent.children()) == 2)
        workers = parent.children()
        with asking(service) as asked:
            pass
        assert asked.failures == []
        before = sum(asked.replies)
        assert before > 40
        for _ in range(4):  # whoever is asked
            eventually(lambda: _counted(service) == before)
        workers[0].kill()
        eventually(lambda: "another one takes its place" in service.said)
        eventually(lambda: len(parent.children()) == 2)
        assert service.ask("/v1/lists/1").status == 200
        eventually(lambda: _counted(service) == before + 1)  # what it counted is kept
        with asking(service) as asked:
            pass
        assert asked.failures == []
        workers = psutil.Process(service.process.pid).children()
        assert service.stop() == 0
        assert not any(worker.is_running() for worker in workers)


def test_workers_end_with_a_parent_that_was_killed(filled_redis: RedisServer, folder: Path) -> None:
    with serving(folder, filled_redis.url, "--processes", "2") as service:
        workers = psutil.Process(service.process.pid).children()
        service.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=180)
        assert not alive
        assert not _listens(service.port)


def test_too_many_requests_are_told_to_come_back(filled_redis: RedisServer, folder: Path) -> None:
    with serving(folder, filled_redis.url, bounds={"max_requests_per_second": 1}) as service:
        assert service.ask("/v1/lists/1").status == 200
        replies = (service.ask("/v1/lists/1") for _ in range(1_000))
        refused = next(reply for reply in replies if reply.status != 200)
        assert refused.status == 429
        assert (refused.word, refused.headers["retry-after"]) == ("too_many", "1")
        assert service.ask("/healthz").status == 200


def test_too_many_at_once_are_told_to_come_back(folder: Path, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        fill(client)
        bounds = {"max_in_flight": 1, "max_connections": 3, "redis_timeout_seconds": 300}
        with serving(folder, server.url, bounds=bounds) as service:
            os.kill(server.pid, signal.SIGSTOP)
            try:
                waits = HTTPConnection("127.0.0.1", service.port, timeout=180)
                waits.request("GET", "/v1/lists/1", headers=authorized("a-token-of-the-tests-0123456789"))
                eventually(lambda: service.count("discovery_lookup_in_flight{") == 1)
                shed = service.ask("/v1/lists/1")
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert (shed.status, shed.word, shed.headers["retry-after"]) == (503, "overloaded", "1")
            assert replied(waits.getresponse()).status == 200
            idle = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(2)]
            eventually(lambda: service.error() == "overloaded")
            for connection in idle:
                connection.close()
            eventually(lambda: service.error() is None)


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        (("--host", "0.0.0.0"), {"DISCOVERY_SERVE_TOKEN": ""}, "export DISCOVERY_SERVE_TOKEN"),
        (("--host", "no.such.host.invalid"), {}, "no address of this machine"),
        ((), {"DISCOVERY_SERVE_TOKEN": "short"}, "16 … 256"),
        ((), {"DISCOVERY_SERVE_TOKEN": "with spaces in between"}, "16 … 256"),
        ((), {"REDIS_URL": ""}, "REDIS_URL is not set"),
        (("--exposures",), {"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("--processes", "0"), {}, "Invalid value for '--processes'"),
        (("--port", "70000"), {}, "Invalid value for '--port'"),
    ],
)
def test_bad_input_ends_it_at_once(
    filled_redis: RedisServer, folder: Path, flags: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    with starting(folder, filled_redis.url, *flags, variables=variables) as service:
        assert service.process.wait(180) == 2
        assert said in service.said


def test_a_port_that_is_taken(filled_redis: RedisServer, folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        starting(folder, filled_redis.url, "--port", str(other.getsockname()[1])) as service,
    ):
        assert service.process.wait(180) == 1
        assert "cannot listen on 127.0.0.1" in service.said


def test_others_than_this_machine_may_be_let_in_without_a_token(filled_redis: RedisServer, folder: Path) -> None:
    flags = ("--host", "0.0.0.0", "--without-token")
    with serving(folder, filled_redis.url, *flags, variables={"DISCOVERY_SERVE_TOKEN": ""}) as service:
        assert service.ask("/v1/lists/1", token=None).status == 200


def test_a_new_token_is_let_in_beside_the_old_one(filled_redis: RedisServer, folder: Path) -> None:
    tokens = {"DISCOVERY_SERVE_TOKEN": "the-old-token-0123456,the-new-token-0123456"}
    with serving(folder, filled_redis.url, variables=tokens) as service:
        assert service.ask("/v1/lists/1", token="the-old-token-0123456").status == 200
        assert service.ask("/v1/lists/1", token="the-new-token-0123456").status == 200
        assert service.ask("/v1/lists/1").status == 401


def _counted(service: RunningService) -> float:
    """Users whose own list was answered."""
    return service.count('discovery_lookup_seconds_count{outcome="list"')


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
