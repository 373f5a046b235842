"""The order-free digest of a set of records, by which a partition's loss, doubling or change is noticed.

Σ over records of blake2b-64(key | 0x00 | payload), big endian, modulo 2⁶⁴: an additive multiset hash (Clarke et al.,
"Incremental Multiset Hash Functions and Their Application to Memory Integrity Checking", 2003), fit for accidents, not
against forgers.
"""

from collections.abc import Iterable
from hashlib import blake2b

_MODULUS = 2**64


class Digest:
    """Records added so far, in any order: their number, bytes (keys and payloads, without envelopes) and digest."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self._sum = 0

    def add(self, key: bytes, payload: bytes) -> None:
        """Count one record in."""
        self._sum += int.from_bytes(blake2b(b"%b\x00%b" % (key, payload), digest_size=8).digest(), "big")
        self.bytes += len(key) + len(payload)
        self.count += 1

    def update(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Count (key, payload) records in."""
        for key, payload in records:
            self.add(key, payload)

    @property
    def hex(self) -> str:
        """The digest as 16 lower-case hex digits."""
        return f"{self._sum % _MODULUS:016x}"
