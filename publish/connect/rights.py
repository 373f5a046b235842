"""Checks before the work starts that Redis permits a user everything that a role needs; changes nothing.

Every command is queued in a transaction that is then discarded. Redis checks permissions when a command is queued
(Redis documentation, "Transactions"), so each missing one is found without running anything, on every version. Other
errors (moved slot, read-only replica, out of memory) do not concern permissions and are ignored.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import redis

from publish.connect.redis_clients import StoreClient
from publish.connect.redis_masters import masters_of
from publish.connect.store_scripts import store_faults
from publish.errors import StoreUnreachable
from publish.wire.keys import Layout, ProductKeys, hash_tags, synced_key

Call = tuple[str | int, ...]
"""A command with a valid number of arguments."""


class Role(StrEnum):
    """A role in the work on a product's keys; `deploy/redis.acl` has a user for each."""

    PUBLISHER = "publisher"
    """The job: announces runs and waits until they serve."""
    LOADER = "loader"
    OPERATOR = "operator"
    READER = "reader"
    EXPORTER = "exporter"
    """Metrics: reads what an operator sees, no list, and changes nothing."""


def check_rights(client: StoreClient, role: Role, keys: ProductKeys) -> None:
    """Raises StoreUnreachable unless the user may run each command of the role on the product's keys."""
    with store_faults():
        for master in masters_of(client):  # each server has its own users
            if denied := _denied(master.client, calls_of(role, keys)):
                commands = ", ".join(sorted({" ".join(map(str, call[:2])) for call in denied}))
                where = f"Redis at {master.address}" if master.address else "Redis"
                raise StoreUnreachable(
                    f"{where} does not allow this user what the {role} of {keys.product} must do: "
                    f"{commands}; give it the line of its role in deploy/redis.acl (docs/security.md)"
                )


def calls_of(role: Role, keys: ProductKeys) -> Sequence[Call]:
    """Returns one call for each permission that a role needs; the values are never stored."""
    place = Layout(keys.product, 1, 1, hash_tags(keys.product, 1))
    position, lists = place.position(0), place.bucket("run", 0, 0)
    seen, state, erased, erased_in = (
        place.seen("run", 0),
        place.state("run", 0),
        place.erased(0),
        place.erased_in("run", 0),
    )
    runs, pointer = keys.runs, keys.pointer
    scripts: tuple[Call, ...] = (("EVALSHA", "0" * 40, 1, runs), ("SCRIPT", "LOAD", "return 1"))
    look: tuple[Call, ...] = (
        *scripts,
        ("INFO", "memory"),
        ("GET", pointer),
        ("EXISTS", keys.epoch),
        ("HGET", runs, "run"),
        ("HMGET", runs, "run"),
        ("HGETALL", runs),
        ("HSET", runs, "run", "value"),
        ("HDEL", runs, "-"),
        ("HMGET", state, "state"),
        ("INCRBY", synced_key(keys.product), 1),
        ("WAIT", 0, 1),
    )
    decide: tuple[Call, ...] = (
        ("TIME",),
        ("SET", pointer, "value"),
        ("RPUSH", keys.history, "value"),
        ("RPUSH", keys.unsent, "value"),
        ("LTRIM", keys.history, 0, -1),
        ("LRANGE", keys.history, 0, -1),
        ("LREM", keys.unsent, 1, "value"),
        ("DEL", keys.restoring),
        ("HSET", state, "state", "value"),
        ("HDEL", state, "-"),
        ("GET", seen),
        ("HGETALL", lists),
        ("HGETALL", erased_in),
        ("UNLINK", lists),
        ("HGET", position, "dead"),
        ("SADD", erased, "user"),
        ("HSET", erased_in, "user", "value"),
        ("HDEL", lists, "user"),
        ("INCRBY", synced_key(place.tags[0]), 1),
    )
    match role:
        case Role.READER:
            return ("GET", pointer), ("HGET", runs, "run"), ("HGET", lists, "user")
        case Role.EXPORTER:
            return (
                ("INFO", "memory"),
                ("GET", pointer),
                ("GET", keys.restoring),
                ("HGETALL", runs),
                ("LRANGE", keys.unsent, 0, -1),
                ("HMGET", state, "state"),
                ("HGET", position, "dead"),
            )
        case Role.PUBLISHER:
            return (
                *look,
                ("EVAL", "return 1", 1, keys.lease),
                ("INCRBY", keys.epoch, 1),
                ("INCRBY", keys.lease_token, 1),
                ("GET", keys.lease),
                ("SET", keys.lease, "value"),
                ("PTTL", keys.lease),
                ("PEXPIRE", keys.lease, 1),
                ("DEL", keys.lease),
            )
        case Role.LOADER:
            return (
                *look,
                *decide,
                ("HMGET", position, "offset"),
                ("HSET", position, "offset", "value"),
                ("HINCRBY", position, "dead", 1),
                ("SETBIT", seen, 0, 1),
                ("GETRANGE", seen, 0, 1),
                ("SETRANGE", seen, 0, "value"),
                ("SMISMEMBER", erased, "user"),
                ("HSETNX", lists, "user", "value"),
                ("HGET", lists, "user"),
            )
        case Role.OPERATOR:
            return (
                *look,
                *decide,
                ("SMISMEMBER", erased, "user"),
                ("SET", keys.restoring, "value"),
                ("SET", keys.epoch, "value"),
                ("SET", keys.lease_token, "value"),
                ("DEL", pointer),
            )


def _denied(node: redis.Redis, calls: Sequence[Call]) -> list[Call]:
    connection: Any = node.connection_pool.get_connection()
    try:
        # PING first: a server that runs it instead of queueing it would also run the commands after it.
        for call, answer in ((("MULTI",), b"OK"), (("PING",), b"QUEUED")):
            if (answered := _ask(connection, call)) != answer:
                if isinstance(answered, redis.exceptions.NoPermissionError):
                    return [call]
                raise redis.ResponseError(f"NOTRANSACTIONS {call[0]}") from None
        return [call for call in calls if isinstance(_ask(connection, call), redis.exceptions.NoPermissionError)]
    finally:
        connection.disconnect()  # and with it the transaction
        node.connection_pool.release(connection)


def _ask(connection: Any, call: Call) -> Any:
    """Returns the server's reply, or its ResponseError; raises any other error."""
    connection.send_command(*call, check_health=False)  # which would reconnect, and leave the transaction
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error
