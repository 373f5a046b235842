"""Users who are erased while their lists arrive, before, and after: no list stays, and the partition verifies."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from publish.connect.store_scripts import text_of
from publish.store.replies import Status
from publish.store.verify import fault_of
from tests.publish.support.one_partition import REDIS, Partition, stretches
from tests.publish.support.pushing import stored
from tests.publish.support.records import batch_of


@REDIS
@given(data=st.data())
def test_erasing_a_user_at_any_moment_leaves_no_list_and_a_partition_that_verifies(
    clean_redis: redis.Redis, data: st.DataObject
) -> None:
    partition = Partition(clean_redis)
    store, run, records = partition.store, partition.run, partition.records
    marked: set[bytes] = set()

    def act(action: list[int] | bytes) -> None:
        if isinstance(action, list):
            batch = [records[place] for place in action]
            assert not any(map(partition.model.conflict, batch))
            assert store.load_batch(run, partition.step(len(batch)), batch_of(batch)).status is Status.LOADED
            partition.model.erased |= marked
        elif action in marked:  # forgetting goes in two steps; lists may arrive in between
            there = action in stored(clean_redis, run)
            assert store.erase(run, 0, action) is there
            partition.model.erased.add(action)
        else:
            store.mark_erased(run.layout, [action])
            marked.add(action)

    victims = st.sampled_from([record.user for record in records[:4]])
    actions = data.draw(st.lists(stretches(len(records)) | victims, min_size=2, max_size=12))
    for action in actions:
        act(action)
    for user in sorted(marked):
        act(user)
    act(list(range(len(records))))
    partition.agrees()
    assert marked == partition.model.erased
    assert not marked & stored(clean_redis, run).keys()
    assert fault_of(clean_redis, run, 0) is None


@pytest.mark.parametrize("changed", [{"payload": b"other"}, {"seq": 1}])
def test_a_contradiction_about_an_erased_user_fails_the_partition(
    clean_redis: redis.Redis, changed: dict[str, object]
) -> None:
    partition = Partition(clean_redis)
    store, run, first = partition.store, partition.run, partition.records[0]
    store.mark_erased(run.layout, [first.user])
    assert store.load_batch(run, partition.step(1), batch_of([first])).status is Status.LOADED
    assert store.load_batch(run, partition.step(1), batch_of([first._replace(**changed)])).status is Status.CONFLICT


def test_a_list_that_came_before_its_user_was_erased_is_compared_with_what_comes_after(
    clean_redis: redis.Redis,
) -> None:
    partition = Partition(clean_redis)
    store, run, first = partition.store, partition.run, partition.records[0]
    store.load_batch(run, partition.step(1), batch_of([first]))
    store.mark_erased(run.layout, [first.user])
    other = first._replace(payload=b"other")
    assert store.load_batch(run, partition.step(1), batch_of([other])).status is Status.CONFLICT
    assert "came twice with different content" in str(store.progress(run)[0].reason)


def test_a_list_that_changed_while_it_was_being_erased_is_hashed_again(clean_redis: redis.Redis) -> None:
    partition = Partition(clean_redis)
    store, run, first = partition.store, partition.run, partition.records[0]
    store.load_batch(run, partition.step(1), batch_of([first]))
    keys = [run.layout.bucket(run.run, 0, first.bucket), run.layout.erased_in(run.run, 0)]
    erase = clean_redis.register_script(text_of("erase"))
    assert erase(keys=keys, args=[first.user, b"what it was", "0" * 16]) == 0
    assert stored(clean_redis, run) == {first.user: first.payload}
    assert not clean_redis.exists(keys[1])
    assert store.erase(run, 0, first.user)
    partition.model.erased.add(first.user)
    assert partition.model.conflict(first) is None
    partition.agrees()
