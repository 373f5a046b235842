import random

from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from publish.wire.digest import Digest, record_hash

RECORDS = st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=8)


def digest_of(records: list[tuple[bytes, bytes]]) -> Digest:
    digest = Digest()
    digest.update([key for key, _ in records], [payload for _, payload in records])
    return digest


@given(RECORDS)
def test_it_is_the_sum_of_the_records_hashes_in_any_order(records: list[tuple[bytes, bytes]]) -> None:
    total = sum(record_hash(k, v) for k, v in records) % 2**64
    shuffled = random.Random(1).sample(records, len(records))
    assert digest_of(records).hex == digest_of(shuffled).hex == format(total, "016x")
    assert digest_of(records).count == len(records)
    assert digest_of(records).bytes == sum(len(k) + len(v) for k, v in records)


@given(RECORDS.filter(bool))
def test_a_lost_or_doubled_record_shows(records: list[tuple[bytes, bytes]]) -> None:
    whole = digest_of(records)
    assert digest_of(records[1:]).hex != whole.hex
    assert digest_of([*records, records[0]]).hex != whole.hex


def test_one_lost_and_one_doubled_shows() -> None:
    one, two = (b"1", b"x"), (b"2", b"y")
    assert digest_of([one, one]).hex != digest_of([one, two]).hex


def test_a_record_is_hashed_as_other_languages_hash_it() -> None:
    assert xxh3_64_intdigest(b"") == 0x2D06800538D394C2  # the published value for no input, seed 0
    assert record_hash(b"7", b"ab") == xxh3_64_intdigest(b"7\x00ab")


def test_a_record_known_by_its_hash_counts_like_the_record() -> None:
    digest = digest_of([(b"1", b"x")])
    digest.add_hash(record_hash(b"2", b"y"))
    assert digest.hex == digest_of([(b"1", b"x"), (b"2", b"y")]).hex
