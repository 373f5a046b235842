"""Makes docs/reader_vectors.json, the examples by which a reader in another language checks itself.

    python -m tests.publish.support.reader_vectors

writes the file anew. Change it only together with docs/reader.md: readers out there rely on it. Numbers beyond 2⁵³ are
written as text, and bytes as hex, so that every language's JSON keeps them.
"""

import json
import zlib
from pathlib import Path
from typing import Any

from conf.ids import IdKind, UserId, arm_of
from publish.lists_pb2 import List
from publish.runs.pointer import Pointer
from publish.wire.announcement import Announcement, decode_fallback
from publish.wire.encoding import encode_rows
from publish.wire.keys import Layout, hash_tags, slot_of
from publish.wire.messages import MessageKind, begin_value, end_value, pack
from tests.publish.support.samples import CREATED, Lists, announcement_of, batches_of

PATH = Path(__file__).parents[3] / "docs" / "reader_vectors.json"

USERS: tuple[UserId, ...] = (1, 2, 3, 42, -7, 2**63 - 1, -(2**63), "1", "eva", "жук", "a b:c|d", "𐍈")
WORLD: dict[str, tuple[Announcement, Lists]] = {
    "run-new": (
        new := announcement_of(
            lists := {1: [11, 2**62, -5], 2: [], 3: [13], 8: [18, 19]}, run="run-new", epoch=7, fallback=(91, 92, 93)
        ),
        lists,
    ),
    "run-old": (
        announcement_of(lists := {1: [31], 4: [35, 36]}, run="run-old", epoch=6, partitions=2, fallback=(95,)),
        lists,
    ),
}
POINTER = Pointer(
    rev=3, treatment="run-new", control="run-old", salt="discovery-1", share_bp=5_000, cap_bp=5_000, since=CREATED
)


def build() -> dict[str, Any]:
    """The whole document."""
    return {
        "arms": [
            {"salt": salt, "user": str(user), "place": arm_of(user, salt)}
            for salt in ("discovery-1", "")
            for user in USERS
        ],
        "places": [
            _place(Layout.plan("groups", *shape, 100), user) for shape in ((8, 10_000), (3, 1)) for user in USERS
        ],
        "tags": [
            {"partitions": n, "tags": [{"tag": tag, "slot": slot_of(tag)} for tag in hash_tags("groups", n)]}
            for n in (1, 3, 8)
        ],
        "lists": [
            _list("int64", []),
            _list("int64", [1, 127, 128, 16_384]),
            _list("int64", [2**63 - 1, -1, -(2**63)], [3.0, 0.5, -0.25]),
            _list("string", ["eva", "жук", ""], [1.0, 0.0, -1.5]),
            _list("string", ["x" * 200]),
        ],
        "records": _records(),
        "store": _store(),
        "answers": _answers(),
    }


def _place(layout: Layout, user: UserId) -> dict[str, Any]:
    partition, bucket = layout.place_of(user)
    return {
        "partitions": layout.partitions,
        "buckets": layout.buckets,
        "user": str(user),
        "crc32": zlib.crc32(str(user).encode()),
        "partition": partition,
        "bucket": bucket,
        "key": layout.bucket("run-1", partition, bucket),
    }


def _list(ids: IdKind, sources: list[Any], scores: list[float] | None = None) -> dict[str, Any]:
    names = {"source_ids": sources} if ids == "int64" else {"source_names": sources}
    payload = List(**names, scores=scores).SerializeToString()
    return {"ids": ids, "sources": [str(source) for source in sources], "scores": scores, "payload": payload.hex()}


def _records() -> list[dict[str, Any]]:
    payload = List(source_ids=[1, 2]).SerializeToString()
    fullest = max(new.slices, key=lambda piece: piece.count)
    return [
        {"kind": "BEGIN", "seq": 0, "key": "", "value": begin_value(new, fullest.partition).hex()},
        {"kind": "DATA", "seq": 258, "key": b"42".hex(), "value": pack(MessageKind.DATA, 7, 258, b"42", payload).hex()},
        {"kind": "END", "seq": fullest.count, "key": "", "value": end_value(new, fullest).hex()},
    ]


def _store() -> list[dict[str, str]]:
    # What Redis holds: a text value for the pointer, fields of hashes for all else.
    entries = [{"key": new.layout.pointer, "text": POINTER.model_dump_json()}]
    for run, (announcement, lists) in WORLD.items():
        entries.append({"key": announcement.layout.runs, "field": run, "text": announcement.canonical.decode()})
        for batch in batches_of(lists, announcement.partitions):
            for user, payload in zip(batch.column("user_id").to_pylist(), encode_rows(batch, "int64"), strict=True):
                key = announcement.layout.bucket(run, *announcement.layout.place_of(user))
                entries.append({"key": key, "field": str(user), "hex": payload.hex()})
    return entries


def _answers() -> list[dict[str, Any]]:
    # Worked out from the lists themselves, not by the reader.
    rows = []
    for user in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        arm, run = ("treatment", "run-new") if arm_of(user, "discovery-1") < 5_000 else ("control", "run-old")
        announcement, lists = WORLD[run]
        fallback = [str(source) for source in List.FromString(decode_fallback(announcement.fallback)).source_ids]
        sources = [str(source) for source in lists[user]] if user in lists else fallback
        rows.append(
            {
                "user": str(user),
                "exclude": ["91"],
                "arm": arm,
                "run": run,
                "kind": "list" if user in lists else "fallback",
                "sources": [source for source in sources if source != "91"][: announcement.list_size],
            }
        )
    return rows


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
