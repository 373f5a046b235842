"""Alert rules with one mistake each, and which of them the cases do not notice."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from deploy.monitoring.alerts import Alert
from deploy.monitoring.promtool import STEP, History, Moment, RulesFailed, differences

_ORDER = {">": ("<", ">="), "<": (">", "<="), "==": ("!=",), "!=": ("==",)}
_MATCHERS = {"=": "!=", "=~": "!~", "!=": "=", "!~": "=~"}
_SETS = {"unless": "and", "and": "unless", "or": "and"}
_OPERATOR = r"\b(?:unless|and|or)\b(?: on \([\w, ]*\))?"


class Mutant(NamedTuple):
    """An alert with a mistake, and which."""

    alert: Alert
    mistake: str


def mutants(alert: Alert) -> list[Mutant]:
    """Returns all mutants of an alert, without those that say the same."""
    found = [Mutant(replace(alert, expr=expr), why) for expr, why in _expressions(alert.expr)]
    found += [Mutant(replace(alert, wait=wait), f"for {alert.wait} → {wait}") for wait in _waits(alert.wait)]
    other = "warning" if alert.severity == "critical" else "critical"
    return [*found, Mutant(replace(alert, severity=other), f"severity → {other}")]


def survivors(
    promtool: str, tried: Sequence[Mutant], histories: Sequence[History], *, step: int = STEP
) -> list[Mutant]:
    """Returns the mutants of an alert that fire as the alert should; Prometheus tries all of them at once.

    Those that cannot be evaluated are left out then: Prometheus itself notices them.
    """
    named = {f"M{number}": mutant for number, mutant in enumerate(tried)}
    for some in (histories[:1], histories[1:]):  # most of those that cannot be evaluated never can
        named = _unnoticed(promtool, named, some, step)
    return list(named.values())


def _unnoticed(
    promtool: str, named: Mapping[str, Mutant], histories: Sequence[History], step: int
) -> dict[str, Mutant]:
    rules = [replace(mutant.alert, name=name) for name, mutant in named.items()]
    try:
        found = differences(promtool, rules, [_of_all(own, named) for own in histories], step=step)
        noticed = {difference.alert for difference in found}
    except RulesFailed as failed:
        if not failed.alerts:
            raise
        return _unnoticed(promtool, {n: m for n, m in named.items() if n not in failed.alerts}, histories, step)
    return {name: mutant for name, mutant in named.items() if name not in noticed}


def _of_all(history: History, names: Iterable[str]) -> History:
    """Returns a history in which each of the names must do what its one alert must."""
    moments = [Moment(at, dict.fromkeys(names, firing)) for at, told in history.moments for firing in told.values()]
    return replace(history, moments=moments)


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    seen = {_squeezed(expr)}
    for pattern, changes in _CHANGES:
        for place in re.finditer(pattern, expr):
            for change in changes(place):
                changed = expr[: place.start()] + change + expr[place.end() :]
                if _squeezed(changed) not in seen:
                    seen.add(_squeezed(changed))
                    yield changed, f"…{expr[max(0, place.start() - 25) : place.start()]}[{place[0]} → {change}]"
    for changed, gone in _without_clauses(expr):
        if _squeezed(changed) not in seen:
            seen.add(_squeezed(changed))
            yield changed, f"without: {gone}"


def _squeezed(expr: str) -> str:
    return "".join(expr.split())


def _numbers(place: re.Match[str]) -> Iterator[str]:
    number = float(place[0])
    yield from ("1",) if number == 0 else ("0",) if number == 1 else (f"{number * 0.9:g}", f"{number * 1.1:g}")


def _windows(place: re.Match[str]) -> Iterator[str]:
    yield from {"m": ("[1m]", "[1h]"), "d": ("[12h]", "[2d]")}[place[2]]


def _labels(place: re.Match[str]) -> Iterator[str]:
    names = [name.strip() for name in place[2].split(",")]
    yield from (f"{place[1]} ({', '.join(name for name in names if name != gone)})" for gone in names)


_CHANGES: tuple[tuple[str, Callable[[re.Match[str]], Iterator[str]]], ...] = (
    (r"(?<= )(>|<|==|!=)(?= )", lambda place: iter(_ORDER[place[0]])),
    (r"(?<![\w.\[\"-])\d+(?:\.\d+)?(?![\w.\]\"])", _numbers),
    (r"\[(\d+)([md])\]", _windows),
    (r"(?<=\w)(=~|!~|!=|=)(?=\")", lambda place: iter((_MATCHERS[place[0]],))),
    (r"\{[^{}]*\}", lambda _: iter(("",))),
    (r"\b(on|by) \(([\w, ]+)\)", _labels),
    (r"\b(unless|and|or)\b", lambda place: iter((_SETS[place[0]],))),
    (r"\b(min|max|sum)\b(?= by)", lambda place: iter(("max" if place[0] == "min" else "min",))),
    (r"(?<= )([-/*])(?= )", lambda place: iter(({"-": "+", "/": "*", "*": "/"}[place[0]],))),
)
"""What is looked for in an expression, and what stands there instead."""


def _without_clauses(expr: str) -> Iterator[tuple[str, str]]:
    """Yields the expression without each operand of `unless`, `and` and `or`, in brackets or not."""
    pieces = _pieces(expr)
    for number in range(len(pieces)):
        left = pieces[:number] + pieces[number + 1 :]
        if len(pieces) > 1:
            yield (
                "".join(clause if at else re.sub(_OPERATOR, "", clause, count=1) for at, clause in enumerate(left)),
                pieces[number],
            )
    for start, end in _brackets(expr):
        if re.search(_OPERATOR, inner := expr[start + 1 : end]):
            yield from (
                (f"{expr[: start + 1]}{changed}{expr[end:]}", gone) for changed, gone in _without_clauses(inner)
            )


def _pieces(expr: str) -> list[str]:
    """Returns the operands outside of brackets, each but the first with its operator."""
    depth, starts = 0, [0]
    for place in re.finditer(rf"[()]|{_OPERATOR}", expr):
        depth += {"(": 1, ")": -1}.get(place[0], 0)
        if depth == 0 and place[0] not in "()":
            starts.append(place.start())
    return [expr[start:end] for start, end in zip(starts, [*starts[1:], len(expr)], strict=True)]


def _brackets(expr: str) -> Iterator[tuple[int, int]]:
    """Yields where brackets that hold an expression begin and end; not those of a function or of labels."""
    opened: list[int] = []
    for place in re.finditer(r"[()]", expr):
        if place[0] == "(":
            opened.append(place.start())
            continue
        start = opened.pop()
        if re.search(r"(\b(or|and|unless)|\W|^)\s*$", expr[:start]) and not opened:
            yield start, place.start()


def _waits(wait: str) -> tuple[str, ...]:
    number = int(wait[:-1])
    return (f"{2 * number}{wait[-1]}", "0s") if number else ("1m",)
