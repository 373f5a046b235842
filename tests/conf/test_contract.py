"""The arm, partition and bucket of a user: the shared vectors, and properties that rollouts lean on."""

import hashlib
import json
from importlib import resources
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import contract, ids

VECTORS = json.loads(resources.files("conf").joinpath("contract_vectors.json").read_text(encoding="utf-8"))
IDS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=30))


def crc32_by_bits(data: bytes) -> int:
    """CRC-32 (reflected polynomial 0xEDB88320) bit by bit, as another language would write it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("vector", VECTORS["users"], ids=lambda vector: repr(vector["user_id"]))
def test_contract_agrees_with_the_vectors(vector: dict[str, Any]) -> None:
    user = vector["user_id"]
    assert ids.arm_of(user, VECTORS["salt"]) == vector["arm"]
    assert ids.partition_of(user, 8) == vector["partition_of_8"]
    assert ids.partition_of(user, 12) == vector["partition_of_12"]
    assert ids.bucket_of(user, 8, 5) == vector["bucket_of_5_in_8"]


@pytest.mark.parametrize("vector", VECTORS["users"], ids=lambda vector: repr(vector["user_id"]))
def test_vectors_follow_from_first_principles(vector: dict[str, Any]) -> None:
    text = str(vector["user_id"]).encode()
    digest = hashlib.sha256(VECTORS["salt"].encode() + b"|" + text).digest()
    assert int.from_bytes(digest[:4], "big") % 10_000 == vector["arm"]
    assert crc32_by_bits(text) == vector["crc32"]
    assert vector["crc32"] // 8 % 5 == vector["bucket_of_5_in_8"]


def test_vectors_hold_both_kinds_of_ids() -> None:
    kinds = {type(vector["user_id"]) for vector in VECTORS["users"]}
    assert kinds == {int, str}
    assert any(isinstance(vector["user_id"], int) and vector["user_id"] < 0 for vector in VECTORS["users"])
    assert any(isinstance(vector["user_id"], str) and not vector["user_id"].isascii() for vector in VECTORS["users"])


@given(IDS, st.integers(1, 4096), st.integers(1, 1000))
def test_places_are_in_range(user: int | str, partitions: int, buckets: int) -> None:
    assert 0 <= ids.arm_of(user, "salt") < 10_000
    assert 0 <= ids.partition_of(user, partitions) < partitions
    assert 0 <= ids.bucket_of(user, partitions, buckets) < buckets


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_int_and_its_text_are_the_same_user(user: int) -> None:
    assert ids.arm_of(user, "s") == ids.arm_of(str(user), "s")
    assert ids.partition_of(user, 7) == ids.partition_of(str(user), 7)


def test_a_share_of_the_arms_is_a_share_of_the_users() -> None:
    treated = sum(ids.arm_of(user, "discovery-1") < 2_500 for user in range(20_000))
    assert abs(treated / 20_000 - 0.25) < 0.012  # four standard deviations of a fair draw


@pytest.mark.parametrize("kind", ["int64", "string"])
def test_ids_have_one_type_in_every_table(kind: ids.IdKind) -> None:
    id_type = pa.int64() if kind == "int64" else pa.string()
    tables = (contract.daily_partials, contract.interactions, contract.exclusions, contract.holdout, contract.snapshot)
    assert all(table(kind).field("user_id").type == id_type for table in tables)
    assert contract.lists(kind).field("source_ids").type.value_type == id_type
