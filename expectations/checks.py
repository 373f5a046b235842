"""Checks of measured numbers: what is expected of each, and how reports show it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import pyarrow as pa

from conf.base import Strict

P = TypeVar("P")
Pair = tuple[float | None, float | None]
Unit = Literal["count", "number", "percent"]
FIRST_RUN = "first run: no baseline"


@dataclass(frozen=True)
class Between:
    """Expects `low <= value <= high`; a value of None always fails."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: Unit = "number"
    detail: str = ""
    """How the value came about, e.g. "users 1,000 → 380"."""

    @property
    def allowed(self) -> str:
        """The limits as text."""
        if self.low is None:
            return "0" if self.high == 0 else f"at most {format_value(self.high, self.unit)}"
        if self.high is None:
            return f"at least {format_value(self.low, self.unit)}"
        return f"{format_value(self.low, self.unit)} … {format_value(self.high, self.unit)}"

    def observed(self, value: float | None) -> str:
        """Returns the judged value as text, with the detail."""
        return format_value(value, self.unit) + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class Skip:
    """An expectation that is not judged, and why."""

    name: str
    reason: str


Check = Between | Skip


def none_of(name: str, count: int | None, detail: str = "") -> Between:
    """Expects a count of 0; None, a count that was not measured, fails."""
    return Between(name, count, high=0, unit="count", detail=detail)


def same_columns(columns: Sequence[str], contract: pa.Schema) -> Between:
    """Expects the columns and types of the contract, in any order; the value is the number of differences."""
    expected = describe(contract)
    wrong = [f"not {text}" for text in columns if text not in expected]
    wrong += [f"but {text}" for text in expected if text not in columns]
    return none_of("schema", len(wrong), ", ".join(wrong))


def limit(limits: Strict, name: str, value: float | str | None, unit: Unit = "number", detail: str = "") -> Check:
    """Expects a value within the setting `name` of `limits`: at least a `min_…`, at most a `max_…`.

    value: the number, or the reason for skipping the expectation.
    """
    if isinstance(value, str):
        return Skip(name, value)
    bound: float = getattr(limits, name)
    low, high = (bound, None) if name.startswith("min_") else (None, bound)
    return Between(name, value, low, high, unit, detail)


def relative_change(now: float | None, before: float | None) -> float | None:
    """Returns |now ÷ before − 1|; 0 if both are 0, infinite if only `before` is; None if either is unknown."""
    if now is None or before is None:
        return None
    if before == 0:
        return 0.0 if now == 0 else math.inf
    return abs(now / before - 1)


def change_of_larger(now: float | None, before: float | None) -> float | None:
    """Returns 1 − smaller ÷ larger, from 0 to 1: halved and doubled are both 0.5; None if either is unknown."""
    if now is None or before is None:
        return None
    larger = max(now, before)
    return 1 - min(now, before) / larger if larger else 0.0


def change(
    limits: Strict,
    name: str,
    now_and_before: Mapping[str, Pair] | str,
    measure: Callable[[float | None, float | None], float | None] = relative_change,
) -> Check:
    """Expects that no number changed by more than the setting `name`; the value is the largest change.

    now_and_before: label → both numbers, or the reason for not comparing them.
    """
    if isinstance(now_and_before, str):
        return Skip(name, now_and_before)
    changes = {label: measure(now, before) for label, (now, before) in now_and_before.items()}
    worst = max(changes, key=lambda label: math.inf if (value := changes[label]) is None else value)
    now, before = now_and_before[worst]
    detail = f"{worst} {format_value(before, 'number')} → {format_value(now, 'number')}"
    return limit(limits, name, changes[worst], "percent", detail)


def both(now: P, before: P | str, numbers: Callable[[P], Mapping[str, float | None]]) -> Mapping[str, Pair] | str:
    """Returns label → the numbers of both profiles, or the reason that is in place of the earlier one."""
    if isinstance(before, str):
        return before
    former = numbers(before)
    return {label: (number, former[label]) for label, number in numbers(now).items()}


def ratio(part: float | None, whole: float) -> float | None:
    """Returns part ÷ whole; None if `whole` is 0 or `part` was not measured."""
    return None if part is None or not whole else part / whole


def format_value(value: float | None, unit: Unit) -> str:
    """Returns a number as text, e.g. 1,234 or 0.1235 or 38.2 %."""
    if value is None or not math.isfinite(value):
        return "nothing measured" if value is None else "infinite"
    if unit == "percent":
        return f"{value:,.1%}".replace("%", " %")
    return f"{value:,.0f}" if unit == "count" or (float(value).is_integer() and abs(value) < 1e15) else f"{value:.4g}"


def describe(schema: pa.Schema) -> tuple[str, ...]:
    """Returns name and type of each column, e.g. "weight double"; names of array elements are left out."""
    return tuple(f"{field.name} {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    return f"list<{_type(kind.value_type)}>" if pa.types.is_list(kind) else str(kind)
