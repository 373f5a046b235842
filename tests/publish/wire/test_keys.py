import re

import pytest

from conf.ids import bucket_of, partition_of
from publish.errors import PublishError
from publish.wire.keys import SLOTS, Layout, ProductKeys, bucket_count, hash_tags, slot_of


@pytest.mark.parametrize("partitions", [1, 2, 3, 8, 100, 4096])
def test_tags_spread_evenly_over_the_slots(partitions: int) -> None:
    tags = hash_tags("prod_discovery", partitions)
    bands = [slot_of(tag) * partitions // SLOTS for tag in tags]
    assert bands == list(range(partitions))


def test_tags_of_4096_partitions_are_quick_and_short() -> None:
    tags = hash_tags("g" * 40, 4096)
    assert len(set(tags)) == 4096
    assert max(map(len, tags)) <= 48


def test_slot_is_the_one_of_the_redis_cluster_specification() -> None:
    assert slot_of("123456789") == 12739  # the specification's example: CRC16 = 0x31C3


def test_product_keys_share_one_hash_tag() -> None:
    keys = ProductKeys("groups")
    tagged = [keys.runs, keys.pointer, keys.history, keys.unsent, keys.epoch, keys.lease, keys.lease_token]
    assert len(set(tagged)) == 7
    assert {re.match(r"\{(.*?)\}", key)[1] for key in tagged} == {"groups"}  # type: ignore[index]


def test_keys_and_topics_by_name() -> None:
    layout = Layout("groups", 2, 5, ("groups.7", "groups.9"))
    assert layout.runs == "{groups}:runs"
    assert layout.pointer == "{groups}:ptr"
    assert layout.bucket("r1", 1, 4) == "{groups.9}:r1:b:4"
    assert layout.seen("r1", 0) == "{groups.7}:r1:seen"
    assert layout.state("r1", 0) == "{groups.7}:r1:st"
    assert layout.position(1) == "{groups.9}:pos"
    assert layout.state_field("r1") == "r1:state"
    assert list(layout.bucket_keys("r1", 0)) == [f"{{groups.7}}:r1:b:{bucket}" for bucket in range(5)]
    assert (layout.topic, layout.dead_letter_topic) == ("groups.topn.v1", "groups.topn.v1.dead")
    assert (layout.pointer_topic, layout.history_topic) == ("groups.pointer.v1", "groups.pointer-history.v1")
    assert (layout.history, layout.unsent) == ("{groups}:ptr:history", "{groups}:ptr:unsent")


def test_place_of_a_user_is_the_contracts() -> None:
    layout = Layout.plan("groups", 7, 10_000, 100)
    for user in [*range(-50, 500), "eva", "жук"]:
        assert layout.place_of(user) == (partition_of(user, 7), bucket_of(user, 7, layout.buckets))
        assert layout.bucket("r1", *layout.place_of(user)) == layout.bucket("r1", *layout.place_of(user))


def test_every_bucket_is_used_and_none_is_crowded() -> None:
    layout = Layout.plan("groups", 8, 40_000, 100)
    sizes = dict.fromkeys(((p, b) for p in range(8) for b in range(layout.buckets)), 0)
    for user in range(40_000):
        sizes[layout.place_of(user)] += 1
    assert min(sizes.values()) > 50
    assert max(sizes.values()) < 200


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (0, 1),  # an empty run still has a layout
        (1, 1),
        (800, 1),
        (801, 2),
        (8_000_000, 10_000),
    ],
)
def test_bucket_count(users: int, expected: int) -> None:
    assert bucket_count(users, 8, 100) == expected


def test_a_layout_that_cannot_be_is_refused() -> None:
    with pytest.raises(PublishError, match="one tag per partition"):
        Layout("groups", 2, 5, ("groups.7",))
