"""What lies in Redis, decoded by protobuf's own code for Java: another language, another varint reader.

`java/discovery/v1/Lists.java` was generated from `publish/lists.proto` by protoc 35.1 (`--java_out`, which that of
grpcio-tools has not). It is compiled here, by a compiler that is a jar, as a JRE has none. That jar and protobuf's
runtime come as Kafka's do: by Ivy, checked against a lock file.
"""

import os
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis

from conf.ids import IdKind
from deploy.servers.java import find_java
from deploy.servers.kafka_jars import cache_folder, ensure_jars
from publish.lists_pb2 import DESCRIPTOR
from publish.runs.registry import RunRegistry
from publish.wire.announcement import decode_fallback
from tests.publish.support.pushing import load_directly, stored
from tests.publish.support.samples import Lists, announcement_of

HERE = Path(__file__).parent / "java"
Decoded = tuple[list[int], list[str], list[float]]
Decode = Callable[[Sequence[bytes]], list[Decoded]]

IDS: Lists = {
    1: [2**53 + 1, 2**63 - 1, -(2**63), -1, 0, 127, 128, 300],
    2: [],
    -7: [2**53 - 1],
    2**62: list(range(10**9, 10**9 + 50)),
    **{user: [user] for user in range(100, 120)},
}
NAMES: Lists = {
    "eva": ["müzik", "日本語", "🎵", " ", "a" * 255, "9007199254740993"],
    "nobody": [],
    "7": ["-7"],
    **{f"user {number}": [f"source {number}"] for number in range(20)},
}


@pytest.fixture(scope="module")
def decode(tmp_path_factory: pytest.TempPathFactory) -> Decode:
    """Payloads → what Java reads in them."""
    folder, java = tmp_path_factory.mktemp("java"), find_java()
    compiler, runtime = ensure_jars(java, cache_folder(), lock_file=HERE / "java-jars.lock")
    sources = sorted(HERE.rglob("*.java"))
    subprocess.run(
        [java.program, "-jar", compiler, "-17", "-nowarn", "-cp", runtime, "-d", folder / "out", *sources],
        check=True,
        timeout=300,
    )
    classes = os.pathsep.join((str(folder / "out"), str(runtime)))

    def run(payloads: Sequence[bytes]) -> list[Decoded]:
        done = subprocess.run(
            [java.program, "-cp", classes, "DecodeLists"],
            input="".join(f"{payload.hex()}\n" for payload in payloads),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        schema, *lines = done.stdout.splitlines()
        assert bytes.fromhex(schema) == DESCRIPTOR.serialized_pb, "lists.proto changed: generate Lists.java anew"
        return [_decoded(line) for line in lines]

    return run


@pytest.mark.parametrize(("ids", "lists"), [("int64", IDS), ("string", NAMES)])
def test_java_reads_what_is_stored(clean_redis: redis.Redis, decode: Decode, ids: IdKind, lists: Lists) -> None:
    registry = RunRegistry(clean_redis, "groups")
    run = announcement_of(lists, epoch=registry.next_epoch(), ids=ids, fallback=tuple(next(iter(lists.values()))))
    registry.announce(run)
    load_directly(clean_redis, run, lists)
    payloads = stored(clean_redis, run)
    assert payloads.keys() == {str(user).encode() for user in lists}
    *found, fallback = decode([*(payloads[str(user).encode()] for user in lists), decode_fallback(run.fallback)])
    for sources, (numbers, names, scores) in zip(lists.values(), found, strict=True):
        assert (numbers if ids == "int64" else names) == sources
        assert (names if ids == "int64" else numbers) == []
        assert scores == [float(score) for score in range(len(sources), 0, -1)]
    assert (fallback[0] or fallback[1]) == next(iter(lists.values()))


def _decoded(line: str) -> Decoded:
    numbers, names, scores = (part.split(" ") if part else [] for part in line.split("|"))
    return (
        [int(number) for number in numbers],
        [bytes.fromhex(name).decode() for name in names],
        [struct.unpack(">f", bytes.fromhex(score.zfill(8)))[0] for score in scores],
    )
