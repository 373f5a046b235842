"""An order-free digest of a set of records; it changes when records are lost, duplicated or changed.

Σ over records of XXH3-64(key | 0x00 | payload), modulo 2⁶⁴: an additive multiset hash (Clarke et al., "Incremental
Multiset Hash Functions and Their Application to Memory Integrity Checking", 2003) over the hash of
https://github.com/Cyan4973/xxHash (seed 0). It detects accidents, not forgery.
"""

from collections.abc import Iterable, Sequence

from xxhash import xxh3_64_intdigest

_MODULUS = 2**64


def record_hash(key: bytes, payload: bytes) -> int:
    """Returns the 64-bit hash that one record adds to a digest."""
    return xxh3_64_intdigest(b"%b\x00%b" % (key, payload))


def record_hash_text(key: bytes, payload: bytes) -> str:
    """Returns the `record_hash` as 16 hex digits, which `Layout.erased_in` stores for an erased user's list."""
    return f"{record_hash(key, payload):016x}"


class Digest:
    """Number, bytes (keys and payloads, without envelopes) and digest of the records added so far, in any order."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self._sum = 0

    def add_hash(self, hashed: int) -> None:
        """Adds a record of which only the `record_hash` is known; its bytes are not counted."""
        self._sum += hashed
        self.count += 1

    def update(self, keys: Sequence[bytes], payloads: Sequence[bytes]) -> None:
        """Adds records; the i-th key and the i-th payload are one record."""
        joined = map(b"\x00".join, zip(keys, payloads, strict=True))
        self._sum += sum(map(xxh3_64_intdigest, joined))
        self.bytes += _length(keys) + _length(payloads)
        self.count += len(keys)

    @property
    def hex(self) -> str:
        """The digest as 16 lower-case hex digits."""
        return f"{self._sum % _MODULUS:016x}"


def _length(parts: Iterable[bytes]) -> int:
    return sum(map(len, parts))
