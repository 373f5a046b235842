"""The numbers of a writer as intervals, whatever order and however often they come."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from publish.exposures.writers import Intervals, add_numbers, count_of, missing_of

BATCHES = st.lists(st.lists(st.integers(0, 40), max_size=20), max_size=6)


@given(BATCHES)
def test_they_are_a_set(batches: list[list[int]]) -> None:
    seen: Intervals = ()
    known: set[int] = set()
    for batch in batches:
        seen, is_new = add_numbers(seen, batch)
        for number, new in zip(batch, is_new.tolist(), strict=True):
            assert new == (number not in known), "only the first of equal ones is new"
            known.add(number)
    assert {number for start, end in seen for number in range(start, end)} == known
    assert count_of(seen) == len(known)
    assert all(start < end for start, end in seen)
    assert all(before[1] < after[0] for before, after in pairwise(seen)), "adjacent ones are one"
    assert missing_of(seen, None) == max(known, default=-1) + 1 - len(known)


def test_what_a_writer_says_counts_as_well() -> None:
    seen, _ = add_numbers((), [0, 1, 5])
    assert seen == ((0, 2), (5, 6))
    assert (missing_of(seen, None), missing_of(seen, 10), missing_of(seen, 3), missing_of((), 4)) == (3, 7, 3, 4)
