"""The page for other languages, taken at its word: a reader of some fifty lines that uses nothing of ours."""

import base64
import hashlib
import json
import struct
import zlib
from typing import Any

import pytest
import redis

from publish.read.reader import Reader
from publish.wire.messages import unpack
from tests.publish.support.reader_vectors import PATH, build

VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


def place_of(salt: str, user: str) -> int:
    return int(hashlib.sha256((salt + "|" + user).encode()).hexdigest()[:8], 16) % 10_000


def key_of(user: str, run: str, partitions: int, buckets: int, tags: list[str]) -> str:
    crc = zlib.crc32(user.encode())
    return "{" + tags[crc % partitions] + "}:" + run + ":b:" + str(crc // partitions % buckets)


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def decoded(payload: bytes) -> tuple[list[str], list[float]]:
    sources: list[str] = []
    scores: list[float] = []
    at = 0
    while at < len(payload):
        tag = payload[at]
        size, start = varint(payload, at + 1)
        at = start + size
        if tag == 0x0A:
            while start < at:
                value, start = varint(payload, start)
                sources.append(str(value - 2**64 if value >= 2**63 else value))
        elif tag == 0x12:
            sources.append(payload[start:at].decode())
        elif tag == 0x1A:
            scores += struct.unpack(f"<{size // 4}f", payload[start:at])
    return sources, scores


def slot_of(tag: str) -> int:
    crc = 0
    for byte in tag.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 16_384


def answer(store: dict[tuple[str, str], bytes], user: str, exclude: list[str]) -> dict[str, Any]:
    pointer = json.loads(store["{groups}:ptr", ""])
    arm = "treatment" if place_of(pointer["salt"], user) < pointer["share_bp"] else "control"
    run = pointer[arm]
    about = json.loads(store["{groups}:runs", run])
    payload = store.get((key_of(user, run, about["partitions"], about["buckets"], about["tags"]), user))
    sources, _ = decoded(base64.b64decode(about["fallback"]) if payload is None else payload)
    kept = [source for source in sources if source not in exclude][: about["list_size"]]
    return {"arm": arm, "run": run, "kind": "fallback" if payload is None else "list", "sources": kept}


def stored() -> dict[tuple[str, str], bytes]:
    return {
        (entry["key"], entry.get("field", "")): entry["text"].encode()
        if "text" in entry
        else bytes.fromhex(entry["hex"])
        for entry in VECTORS["store"]
    }


def test_the_file_is_what_our_writer_makes() -> None:
    assert build() == VECTORS, (
        "docs/reader_vectors.json: run python -m tests.publish.support.reader_vectors, and tell all readers"
    )


def test_arms() -> None:
    assert [place_of(row["salt"], row["user"]) for row in VECTORS["arms"]] == [row["place"] for row in VECTORS["arms"]]


def test_places() -> None:
    tags = {row["partitions"]: [tag["tag"] for tag in row["tags"]] for row in VECTORS["tags"]}
    for row in VECTORS["places"]:
        assert zlib.crc32(row["user"].encode()) == row["crc32"]
        assert row["crc32"] % row["partitions"] == row["partition"]
        assert key_of(row["user"], "run-1", row["partitions"], row["buckets"], tags[row["partitions"]]) == row["key"]


def test_tags_are_in_their_bands_of_slots() -> None:
    for row in VECTORS["tags"]:
        assert [slot_of(tag["tag"]) for tag in row["tags"]] == [tag["slot"] for tag in row["tags"]]
        assert [tag["slot"] * row["partitions"] // 16_384 for tag in row["tags"]] == list(range(row["partitions"]))


def test_lists() -> None:
    for row in VECTORS["lists"]:
        assert decoded(bytes.fromhex(row["payload"])) == (row["sources"], row["scores"] or [])


def test_records() -> None:
    for row in VECTORS["records"]:
        key, value = bytes.fromhex(row["key"]), bytes.fromhex(row["value"])
        kind, codec, epoch, seq, crc = struct.unpack(">BBQII", value[:18])
        assert crc == zlib.crc32(value[:14] + key + value[18:])
        assert unpack(key, value) == (kind, codec, epoch, seq, value[18:])
        assert unpack(key, value).kind.name == row["kind"]
        assert seq == row["seq"]


@pytest.mark.parametrize("row", VECTORS["answers"], ids=lambda row: str(row["user"]))
def test_answers(row: dict[str, Any], clean_redis: redis.Redis) -> None:
    expected = {name: row[name] for name in ("arm", "run", "kind", "sources")}
    assert answer(stored(), row["user"], row["exclude"]) == expected
    for (key, field), value in stored().items():
        clean_redis.hset(key, field, value) if field else clean_redis.set(key, value)
    ours = Reader(clean_redis, "groups").lookup(row["user"], row["exclude"])
    assert (ours.arm, ours.run, ours.kind) == (row["arm"], row["run"], row["kind"])
    assert [str(source) for source in ours.source_ids] == row["sources"]


def test_the_answers_cover_both_arms_and_every_kind_of_answer() -> None:
    assert {(row["arm"], row["kind"]) for row in VECTORS["answers"]} == {
        (arm, source) for arm in ("treatment", "control") for source in ("list", "fallback")
    }
    assert [] in [row["sources"] for row in VECTORS["answers"]]
