"""The Redis users of a product: what each can do is enough for its work, and not more."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import redis

from conf.connections import KafkaConnection
from conf.share import Share
from publish.connect.confirmed_sender import KafkaPointerLog
from publish.connect.redis_clients import redis_client
from publish.connect.rights import Role, check_rights
from publish.errors import StoreUnreachable
from publish.operate.control import Control
from publish.operate.forget import Forgetter
from publish.operate.rebuild import rebuild
from publish.operate.wait import RunEnding, wait
from publish.runs.erasures import ErasureLog
from publish.runs.history import read_history
from publish.runs.housekeeping import Housekeeping
from publish.runs.lease import Lease
from publish.runs.registry import RunRegistry
from publish.runs.run_log import KafkaRunLog
from publish.store.redis_store import RedisStore
from publish.wire.announcement import Announcement
from publish.wire.keys import ProductKeys
from tests.publish.support.acl_users import client_as, connection_as, drop_users, make_users, rules_of
from tests.publish.support.pushing import PARTITIONS, expected, lists_of, loading, new_product, send, served, wire_of
from tests.publish.support.samples import Lists, announcement_of

USERS = 300
Answers = dict[int, tuple[str | None, str, tuple[Any, ...]]]


@dataclass
class Team:
    """A product with its users, each with a client of their own."""

    kafka: KafkaConnection
    url: str
    admin: redis.Redis
    product: str
    clients: dict[Role, Any]

    @property
    def keys(self) -> ProductKeys:
        return ProductKeys(self.product)

    def served(self) -> Answers:
        """What a reader says of every user."""
        return served(self.clients[Role.READER], self.product, range(USERS))

    def denials(self) -> list[str]:
        """What Redis refused one of them."""
        return [
            f"{entry['username']}: {entry['object']}"
            for entry in self.admin.acl_log()
            if self.product in entry["username"]
        ]


@pytest.fixture(scope="module")
def team(kafka: KafkaConnection, redis_url: str) -> Iterator[Team]:
    product = new_product(kafka)
    with redis.Redis.from_url(redis_url) as admin:
        make_users(admin, product)
        admin.acl_log_reset()
        clients = {role: client_as(redis_url, product, role) for role in Role}
        try:
            yield Team(kafka, redis_url, admin, product, clients)
        finally:
            for client in clients.values():
                client.close()
            drop_users(admin, product)


def test_each_user_does_its_part_of_a_push(team: Team) -> None:
    for role in Role:
        check_rights(team.clients[role], role, team.keys)
    client = team.clients[Role.OPERATOR]
    registry, store, erasures = (
        RunRegistry(client, team.product),
        RedisStore(client),
        ErasureLog(team.kafka, team.product),
    )
    operator = Control.connect(client, team.product, log=KafkaPointerLog(team.kafka))
    with loading(team.kafka, team.clients[Role.LOADER], team.product):
        first, first_lists = _push(team, shift=0, first=True)
        second, second_lists = _push(team, shift=5)
        assert team.served() == expected(second, second_lists)
        assert operator.verify(second.run) == ()
        operator.rollback(reason="a test")
        assert team.served() == expected(first, first_lists)
        operator.hold("a test")
        operator.share(Share.percent(100))
        assert operator.status().pointer.treatment == first.run
        changes = read_history(client, team.product, team.kafka)
        assert ([entry.rev for entry in changes.entries], changes.gaps) == ([1, 2, 3], ())
        exported, known = Control.connect(team.clients[Role.EXPORTER], team.product).status(), operator.status()
        assert replace(exported, limits=known.limits) == known  # what memory is used differs from moment to moment
        forgotten = Forgetter(erasures, registry, store, ids="int64", partitions=PARTITIONS).forget(7, "asked for it")
        assert forgotten.removed_from == (first.run, second.run)
        Housekeeping(registry, operator.pointers, store, grace=timedelta(0)).clear(second.run)
        assert not list(team.admin.scan_iter(f"{{{team.product}.*}}:{second.run}:*"))

        team.admin.delete(*team.admin.scan_iter(f"{{{team.product}*"))
        assert rebuild(team.kafka, operator, deadline=60).pointer.treatment == first.run
        answers = team.served()
        assert answers.pop(7) == (first.run, "fallback", (900, 901))
        assert answers.items() <= expected(first, first_lists).items()
    # What a client tells of itself; a limit that only a warning is about (CONFIG tells passwords, too); and `wait`,
    # which promotes what it finds complete before a loader did.
    tolerated = {f"{team.product}-{role}: {what}" for role in Role for what in ("client", "config")}
    tolerated.add(f"{team.product}-{Role.PUBLISHER}: lrange")
    assert set(team.denials()) <= tolerated


def test_every_right_is_needed_and_asked_for_at_the_start(team: Team) -> None:
    unnoticed = []
    for role in Role:
        user = f"{team.product}-{role}"
        rules = rules_of(team.product)[user]
        for number, rule in enumerate(rules):
            if rule[0] not in "+~" or rule == "+select":  # redis-py selects where the database is not 0
                continue
            team.admin.execute_command("ACL", "SETUSER", user, "reset", *rules[:number], *rules[number + 1 :])
            named = rule[1:].partition("|")[0].upper() if rule[0] == "+" else ""
            try:
                with client_as(team.url, team.product, role) as client:
                    check_rights(client, role, team.keys)
            except StoreUnreachable as error:
                if named in str(error).upper():
                    continue
            unnoticed.append(f"{role}: {rule}")
        team.admin.execute_command("ACL", "SETUSER", user, "reset", *rules)
    assert unnoticed == []


LIST = "{PRODUCT.0}:run:b:0"
FORBIDDEN: dict[Role, tuple[tuple[str | int, ...], ...]] = {
    Role.READER: (
        ("SET", "{PRODUCT}:ptr", "x"),
        ("HSET", "{PRODUCT}:runs", "run", "x"),
        ("HSET", LIST, "user", "x"),
        ("HDEL", LIST, "user"),
        ("UNLINK", LIST),
        ("HGETALL", LIST),
        ("GET", "{PRODUCT}:lease"),
        ("EVAL", "return 1", 0),
        ("LRANGE", "{PRODUCT}:ptr:history", 0, -1),
    ),
    Role.PUBLISHER: (
        ("SET", "{PRODUCT}:ptr", "x"),
        ("SETRANGE", "{PRODUCT}:ptr", 0, "x"),
        ("GETSET", "{PRODUCT}:ptr", "x"),
        ("DEL", "{PRODUCT}:ptr"),
        ("RENAME", "{PRODUCT}:lease", "{PRODUCT}:ptr"),
        ("COPY", "{PRODUCT}:lease", "{PRODUCT}:ptr"),
        ("INCRBY", "{PRODUCT}:ptr", 1),
        ("PEXPIRE", "{PRODUCT}:ptr", 1),
        ("EVAL", "return redis.call('SET', KEYS[1], 'x')", 1, "{PRODUCT}:ptr"),
        ("HSET", LIST, "user", "x"),
        ("HGET", LIST, "user"),
        ("UNLINK", LIST),
        ("HSET", "{PRODUCT.0}:pos", "offset", 1),
        ("RPUSH", "{PRODUCT}:ptr:history", "x"),
        ("LTRIM", "{PRODUCT}:ptr:history", 1, 0),
        ("RPUSH", "{PRODUCT}:ptr:unsent", "x"),
        ("LREM", "{PRODUCT}:ptr:unsent", 1, "x"),
    ),
    Role.LOADER: (
        ("SET", "{PRODUCT}:lease", "x"),
        ("SET", "{PRODUCT}:epoch", 1),
        ("DEL", "{PRODUCT}:ptr"),
        ("SET", LIST, "x"),
        ("EVAL", "return 1", 0),
    ),
    Role.OPERATOR: (
        ("SET", "{PRODUCT}:lease", "x"),
        ("HSETNX", LIST, "user", "x"),
        ("SETBIT", "{PRODUCT.0}:run:seen", 0, 1),
        ("EVAL", "return 1", 0),
    ),
    Role.EXPORTER: (
        ("SET", "{PRODUCT}:ptr", "x"),
        ("HSET", "{PRODUCT}:runs", "run", "x"),
        ("LREM", "{PRODUCT}:ptr:unsent", 1, "x"),
        ("HGET", LIST, "user"),
        ("HGETALL", LIST),
        ("HSET", "{PRODUCT.0}:pos", "offset", 1),
        ("GET", "{PRODUCT}:lease"),
        ("LRANGE", "{PRODUCT}:ptr:history", 0, -1),
        ("EVAL", "return 1", 0),
    ),
}
FOR_NOBODY: tuple[tuple[str | int, ...], ...] = (
    ("GET", "{PRODUCT2}:ptr"),
    ("HGET", "{PRODUCT2.0}:run:b:0", "user"),
    ("GET", "elsewhere"),
    ("EXEC",),
    ("KEYS", "*"),
    ("SCAN", 0),
    ("FLUSHALL",),
    ("CONFIG", "GET", "requirepass"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("SCRIPT", "FLUSH"),
    ("SHUTDOWN", "NOSAVE"),
)
"""EXEC as well: what is queued to ask for rights can never run."""


@pytest.mark.parametrize("role", Role)
def test_no_user_can_do_more(team: Team, role: Role) -> None:
    for call in (*FORBIDDEN[role], *FOR_NOBODY):
        words = [word.replace("PRODUCT", team.product) if isinstance(word, str) else word for word in call]
        with pytest.raises(redis.RedisError) as caught:
            team.clients[role].execute_command(*words)
        text = str(caught.value)
        assert any(words in text for words in ("no permissions", "executing the script can't", "ACL failure")), call


def test_the_job_cannot_decide_who_serves(team: Team) -> None:
    publisher = Control.connect(team.clients[Role.PUBLISHER], team.product)
    before = team.admin.get(team.keys.pointer)
    with pytest.raises(StoreUnreachable, match=r"does not allow this user .*deploy/redis\.acl"):
        publisher.unhold()
    assert team.admin.get(team.keys.pointer) == before


def test_a_wrong_password_is_told_at_once(team: Team) -> None:
    right = connection_as(team.url, team.product, Role.LOADER)
    wrong = type(right).model_validate({**right.model_dump(), "password": "hunter2-of-somebody"})
    with pytest.raises(StoreUnreachable, match="REDIS_USERNAME and REDIS_PASSWORD") as caught:
        redis_client(wrong)
    assert "hunter2" not in str(caught.value)


def _push(team: Team, *, shift: int, first: bool = False) -> tuple[Announcement, Lists]:
    """A push with the publisher's rights, from the lease to serving."""
    client, lists = team.clients[Role.PUBLISHER], lists_of(USERS, shift=shift)
    registry, run = RunRegistry(client, team.product), f"run-{shift}"
    with Lease.acquire(client, team.keys, run) as lease:
        said = announcement_of(
            lists, product=team.product, partitions=PARTITIONS, epoch=registry.next_epoch(), run=run
        ).model_copy(update={"first": first})
        registry.announce(said, lease.token)
        KafkaRunLog(team.kafka).append(said)
        send(team.kafka, said.layout.topic, wire_of(said, lists))
        control = Control.connect(client, team.product)
        assert wait(run, control.lifecycle, control.pointers, deadline=60).ending is RunEnding.SERVING
        lease.check()
    return said, lists
