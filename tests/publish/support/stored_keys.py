"""What lies in Redis for a product and for a run, as Redis has it (tests may SCAN)."""

import redis

from publish.wire.announcement import Announcement

Content = dict[bytes, bytes] | frozenset[bytes] | tuple[bytes, ...] | bytes
"""What lies under a key: a hash, a set, a list, a string."""


def dump(client: redis.Redis, product: str) -> dict[bytes, Content]:
    """Everything that Redis keeps for a product."""
    patterns = f"{{{product}}}*", f"{{{product}.*"
    return read_keys(client, {key for pattern in patterns for key in client.scan_iter(pattern, 5_000)})


def keys_of(client: redis.Redis, run: Announcement) -> dict[bytes, Content]:
    """Every key of a run, and what lies under it."""
    patterns = (f"{{{tag}}}:{run.run}:*" for tag in run.tags)
    return read_keys(client, {key for pattern in patterns for key in client.scan_iter(pattern, 5_000)})


def read_keys(client: redis.Redis, keys: set[bytes]) -> dict[bytes, Content]:
    """What lies under these keys; one that goes meanwhile (Redis gives an empty hash, set or list) is left out."""
    names = sorted(keys)
    with client.pipeline(transaction=False) as pipe:
        for key in names:
            pipe.type(key)
        kinds = pipe.execute()
        reading = {b"hash": pipe.hgetall, b"set": pipe.smembers, b"list": lambda key: pipe.lrange(key, 0, -1)}
        for key, kind in zip(names, kinds, strict=True):
            reading.get(kind, pipe.get)(key)
        values = pipe.execute()
    frozen = {set: frozenset, list: tuple}
    return {
        key: frozen.get(type(value), lambda same: same)(value)
        for key, value in zip(names, values, strict=True)
        if value
    }
