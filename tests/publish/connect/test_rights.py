"""The commands that our code sends to Redis are those that a role asks for at its start, and deploy/redis.acl grants.

They are read in the sources, so that a command that is new there is found without a push that happens to send it.
"""

import ast
import re
from pathlib import Path

import pytest

import publish
from publish.connect.rights import Role, calls_of
from publish.runs import lease
from publish.wire.keys import ProductKeys
from tests.publish.support.acl_users import rules_of

ROOM = Path(publish.__file__).parent
LUA = ROOM / "store" / "lua"
RUN_BY = {
    "announce": (Role.PUBLISHER,),
    "begin": (Role.LOADER,),
    "erase": (Role.OPERATOR, Role.LOADER),
    "fence": (Role.PUBLISHER, Role.LOADER, Role.OPERATOR),
    "history": (Role.LOADER, Role.OPERATOR),
    "load": (Role.LOADER,),
    "move": (Role.PUBLISHER, Role.LOADER, Role.OPERATOR),
    "observe": (Role.LOADER, Role.OPERATOR),
    "position": (Role.LOADER,),
    "restore": (Role.OPERATOR,),
    "seen": (Role.LOADER,),
    "skip": (Role.LOADER,),
    "swap": (Role.LOADER, Role.OPERATOR),
    "verified": (Role.LOADER,),
}
"""Who runs which script."""
CLIENTS = ("client", "_client", "pipe")
"""Names of clients and pipelines in our code."""
NO_COMMANDS = {
    "aclose",
    "close",
    "connection_pool",
    "execute",
    "execute_command",
    "get_redis_connection",
    "nodes_manager",
    "pipeline",
}
"""Methods of clients that send nothing by themselves."""
OTHERS = {"incr": "INCRBY", "register_script": "EVALSHA", "script_load": "SCRIPT"}
"""Methods that are not called as their command."""
WITHOUT_RIGHT = {"PING", "CONFIG"}
"""PING needs none that is asked for; what CONFIG says is only for a warning, and it may be refused."""


def asked_for(*roles: Role) -> set[str]:
    return {str(call[0]) for role in roles for call in calls_of(role, ProductKeys("groups"))}


def granted(role: Role) -> set[str]:
    rules = rules_of("groups")[f"groups-{role}"]
    return {rule[1:].partition("|")[0].upper() for rule in rules if rule.startswith("+")}


def commands_in_lua(text: str) -> set[str]:
    calls = re.findall(r"redis\.p?call\s*\(\s*([^,)\s]+)", text)
    assert all(call.strip("'\"").isupper() for call in calls), "a command that is not a literal cannot be looked up"
    return {call.strip("'\"") for call in calls}


def commands_in_python(tree: ast.AST) -> set[str]:
    """What is called, or taken to be called, on a client or a pipeline, and what is sent word by word."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and name_of(node.value) in CLIENTS and node.attr not in NO_COMMANDS:
            found.add(OTHERS.get(node.attr, node.attr.partition("_")[0].upper()))
        if isinstance(node, ast.Call) and name_of(node.func) in ("add", "execute_command") and node.args:
            first = node.args[0]
            found |= {first.value} if isinstance(first, ast.Constant) and isinstance(first.value, str) else set()
    return found


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@pytest.mark.parametrize("role", Role)
def test_a_role_asks_for_what_its_line_grants(role: Role) -> None:
    assert asked_for(role) == granted(role) - {"PING", "SELECT", "MULTI"}


def test_every_script_is_known() -> None:
    assert {path.stem for path in LUA.glob("*.lua")} == set(RUN_BY)


@pytest.mark.parametrize("script", RUN_BY)
def test_who_runs_a_script_asks_for_its_commands(script: str) -> None:
    commands = commands_in_lua((LUA / f"{script}.lua").read_text())
    assert commands
    assert {role: commands - asked_for(role) for role in RUN_BY[script]} == {role: set() for role in RUN_BY[script]}


def test_the_publisher_asks_for_the_commands_of_its_lease() -> None:
    assert commands_in_lua(lease._RENEW + lease._RELEASE) == {"GET", "PEXPIRE", "DEL"}
    assert asked_for(Role.PUBLISHER) >= {"GET", "PEXPIRE", "DEL", "EVAL"}


def test_some_role_asks_for_every_command_that_python_sends() -> None:
    sent = set().union(*(commands_in_python(ast.parse(path.read_text())) for path in ROOM.rglob("*.py")))
    assert sent >= {"GET", "HGETALL", "INCRBY", "EVALSHA", "WAIT", "SADD", "LREM", "PTTL"}  # the scan finds them
    assert sent - asked_for(*Role) == WITHOUT_RIGHT


def test_the_scan_finds_a_new_command() -> None:
    assert commands_in_python(ast.parse("self._client.zadd(key, {})")) == {"ZADD"}
    assert commands_in_python(ast.parse("pipe.execute_command('XADD', key)")) == {"XADD"}
    assert commands_in_lua("local n = redis.pcall( 'ZCARD', KEYS[1])") == {"ZCARD"}
