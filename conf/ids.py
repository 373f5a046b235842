"""The contract shared by all sides: ids, and the arm, partition and bucket of a user; tables are in `conf.contract`.

Standard library only. `conf/contract_vectors.json` holds test vectors for readers in other languages.
"""

import hashlib
import re
import zlib
from typing import Literal

IdKind = Literal["int64", "string"]
UserId = int | str

MAX_ID_BYTES = 255
"""Longest string id in UTF-8; training allocates the length of the longest id for each id."""

ID_RULE = f"1 … {MAX_ID_BYTES} bytes of UTF-8 without NUL"
"""The rule of `is_id`, for messages."""

_INT64 = re.compile(r"0|-?[1-9][0-9]{0,18}")


def is_id(text: str) -> bool:
    """Returns whether a string can be the id of a user or source: 1 … MAX_ID_BYTES bytes of UTF-8 without NUL.

    NUL is refused because numpy's strings end there and no command line can contain it. Any int64 can be an id.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return 1 <= len(encoded) <= MAX_ID_BYTES and b"\0" not in encoded


def parse_int64(text: str) -> int | None:
    """Returns the int64 in its only accepted spelling, else None, e.g. for 007, +5, 1_0 and １２."""
    number = int(text) if _INT64.fullmatch(text) else 2**63
    return number if -(2**63) <= number < 2**63 else None


def arm_of(user_id: UserId, salt: str) -> int:
    """Returns a user's place 0 … 9,999; it is in the treatment if below the share in basis points."""
    return int.from_bytes(hashlib.sha256(f"{salt}|{user_id}".encode()).digest()[:4]) % 10_000


def partition_of(user_id: UserId, partitions: int) -> int:
    """Returns the Kafka partition of a user: crc32 of the id as UTF-8, modulo `partitions`."""
    return zlib.crc32(str(user_id).encode()) % partitions


def bucket_of(user_id: UserId, partitions: int, buckets: int) -> int:
    """Returns the number of a user's Redis hash in their partition, 0 … buckets − 1."""
    return zlib.crc32(str(user_id).encode()) // partitions % buckets
