"""Runs independent steps side by side: Spark plans one job while the tasks of another run."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_AT_ONCE = 4


def side_by_side(step: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Returns the result of each item, in their order; raises the first error in that order once all have ended."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(step, items))


def both(one: Callable[[], Result], other: Callable[[], Item]) -> tuple[Result, Item]:
    """Returns the results of two steps; raises the error of the first one, if both fail, once both have ended."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(one), pool.submit(other)
        return first.result(), second.result()
