"""Every numeric setting is a finite number within bounds, and written as a number."""

import math
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from conf.base import Bytes, Strict
from tests.conf.fields import Path, changed, fields_of

BEYOND = (2**63, -(2**63), 1e300, -1e300, 10**400, math.inf, -math.inf, math.nan)
"""What no setting may be: it would not fit an integer of Spark, Arrow or C, or is no number at all."""
WRITTEN_OTHERWISE = (True, False, "1", "１", "", [1])


def _holds_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(_holds_number(part) for part in get_args(annotation))


NUMBERS = {path: kind for path, kind in fields_of() if _holds_number(kind) and path[0] != "dag"}
"""The values of `dag` are read by the DAG file alone, which has bounds of its own."""


def test_the_numbers_are_found() -> None:
    assert {("interactions", "event_weights", "*"), ("lists", "min_score"), ("train", "max_memory")} <= NUMBERS.keys()
    assert len(NUMBERS) > 60


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_it_has_bounds_and_is_written_as_a_number(path: Path) -> None:
    for value in (*BEYOND, *WRITTEN_OTHERWISE):
        with pytest.raises(ValidationError):
            changed(path, [value] if get_origin(NUMBERS[path]) is tuple else value)


@pytest.mark.parametrize("path", [path for path, kind in fields_of() if kind is bool], ids=".".join)
def test_a_truth_value_is_written_as_one(path: Path) -> None:
    for value in (0, 1, "yes", "false"):
        with pytest.raises(ValidationError):
            changed(path, value)


def test_a_number_without_bounds_would_be_found() -> None:
    class Forgotten(Strict):
        limit: float = 1.0
        size: Annotated[int | None, "a comment"] = None

    assert [path for path, kind in fields_of(Forgotten) if _holds_number(kind)] == [("limit",), ("size",)]
    assert Forgotten(limit=1e300).limit == 1e300


@pytest.mark.parametrize(
    ("text", "size"), [("4 GiB", 4 * 2**30), ("1.5KiB", 1536), ("512 MiB", 2**29), (7, 7), ("1048576 TiB", 2**60)]
)
def test_sizes(text: object, size: int) -> None:
    assert TypeAdapter(Bytes).validate_python(text) == size


@pytest.mark.parametrize("text", [0, -1, "0 B", "-1 GiB", "1048577 TiB", "9" * 400 + " TiB", "１ GiB", "4 gigs", "5"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bytes).validate_python(text)
