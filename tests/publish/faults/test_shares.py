"""Fault 26: shares of 0, 1, 50 and 100 %: monotone, independent of the partitions, the same in Python and Spark."""

import math
from collections import Counter
from itertools import pairwise

import pytest

from conf.ids import arm_of, partition_of
from conf.share import Share
from publish.operate.control import Control
from publish.read.reader import Reader
from tests.publish.support.promise import World, unchanged

SHARES = [Share.percent(percent) for percent in (0, 1, 50, 100)]
SALT, PEOPLE = "discovery-1", 40_000


def treated(salt: str, share: Share) -> set[int]:
    """Users below the share."""
    return {user for user in range(PEOPLE) if arm_of(user, salt) < share.bp}


@pytest.mark.fault(26)
def test_a_larger_share_only_adds_users() -> None:
    """26: nobody leaves the treatment because it is given to more."""
    groups = [treated(SALT, share) for share in SHARES]
    assert all(small <= large for small, large in pairwise(groups))
    assert (len(groups[0]), len(groups[-1])) == (0, PEOPLE)
    for share, group in zip(SHARES, groups, strict=True):
        wanted = PEOPLE * share.bp / 10_000
        assert abs(len(group) - wanted) <= 5 * math.sqrt(wanted + 1)


@pytest.mark.fault(26)
@pytest.mark.parametrize("percent", [1, 50])
@pytest.mark.parametrize("partitions", [3, 8, 12])
@pytest.mark.parametrize("salt", [SALT, "discovery-2", ""])
def test_the_arm_is_independent_of_the_partition(salt: str, partitions: int, percent: float) -> None:
    """26: χ² of arm × partition; one in 100,000 salts would fail by chance, and these are fixed."""
    share = Share.percent(percent)
    cells = Counter((partition_of(user, partitions), arm_of(user, salt) < share.bp) for user in range(PEOPLE))
    rows = [sum(cells[place, arm] for arm in (True, False)) for place in range(partitions)]
    columns = {arm: sum(cells[place, arm] for place in range(partitions)) for arm in (True, False)}
    chi2 = 0.0
    for place in range(partitions):
        for arm, column in columns.items():
            wanted = rows[place] * column / PEOPLE
            chi2 += (cells[place, arm] - wanted) ** 2 / wanted
    degrees = partitions - 1
    # Wilson and Hilferty: the cube root of χ²/k is about normal with mean 1 − 2/9k and variance 2/9k.
    z = ((chi2 / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    assert z < 4.3


@pytest.mark.fault(26)
def test_readers_serve_exactly_the_share(world: World) -> None:
    """26: the same users in the treatment whoever asks, and 0 serves nobody."""
    control = Control.connect(world.client, world.product)
    assert world.serving is not None
    for share in [*SHARES, *reversed(SHARES)]:
        control.share(share)
        unchanged(world)
        reader = Reader(world.client, world.product)
        arms = {user: reader.lookup(user).arm for user in world.lists}
        assert arms == {
            user: "treatment" if arm_of(user, world.serving.salt) < share.bp else "control" for user in world.lists
        }
