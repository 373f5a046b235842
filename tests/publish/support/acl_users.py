"""The users of `deploy/redis.acl` on a real Redis."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import redis

from conf.connections import RedisConnection
from deploy.chain import REPO
from publish.connect.redis_clients import StoreClient, redis_client
from publish.connect.rights import Role

ACL_FILE = Path(REPO) / "deploy" / "redis.acl"


def password_of(role: Role) -> str:
    return f"the {role}'s own password"


def rules_of(product: str) -> dict[str, list[str]]:
    """User → its rules, as the documentation says to fill in the file."""
    text = ACL_FILE.read_text().replace("PRODUCT", product)
    for role in Role:
        text = text.replace(f"{role.upper()}_SHA256", hashlib.sha256(password_of(role).encode()).hexdigest())
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert all(line[0] == "user" for line in lines)
    return {line[1]: line[2:] for line in lines}


def make_users(admin: redis.Redis, product: str) -> None:
    """Make the users of a product."""
    for user, rules in rules_of(product).items():
        admin.execute_command("ACL", "SETUSER", user, "reset", *rules)


def drop_users(admin: redis.Redis, product: str) -> None:
    admin.execute_command("ACL", "DELUSER", *rules_of(product))


def connection_as(url: str, product: str, role: Role) -> RedisConnection:
    """How the user of a role reaches the server at a URL without credentials."""
    assert "@" not in urlsplit(url).netloc
    return RedisConnection.model_validate({"url": url, "username": f"{product}-{role}", "password": password_of(role)})


def client_as(url: str, product: str, role: Role) -> StoreClient:
    """A client with the rights of a role."""
    return redis_client(connection_as(url, product, role))
