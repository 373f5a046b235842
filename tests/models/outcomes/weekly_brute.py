"""What users did in the weeks of an experiment, and its sums over users, in plain Python without any cleverness."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from conf.ids import arm_of
from conf.outcomes import OutcomeSettings
from models.experiment.moments import Slice
from models.outcomes.weekly import Week
from tests.models.outcomes.brute import DAY, Asked, Did

Rows = dict[tuple[int, int, str], float]
"""User, week, metric → x."""


def weekly_brute(
    answers: Sequence[Asked],
    events: Sequence[Did],
    audience: Collection[tuple[int, int]] | None,
    weeks: Sequence[Week],
    settings: OutcomeSettings,
    engaging: Collection[str],
    categories: Mapping[int, str | None],
) -> Rows:
    """Returns what is not 0. audience: user and week; None: who had an event in the `new_days` before the week."""
    rows: Rows = defaultdict(float)

    def count(user: int, at: Any, *metrics: str, x: float = 1) -> None:
        for week in weeks:
            if week.first <= at.date() < week.end:
                for metric in metrics:
                    rows[user, week.number, metric] += x

    def category(source: int) -> str:
        value = categories.get(source)
        return "category" if value is None else f"category={value}"

    per_day = Counter((did.user, did.at.date()) for did in events)
    robots = {key for key, number in per_day.items() if number > (settings.robots.max_events_per_day or 10**9)}
    for user, day in robots:
        for week in weeks:
            if week.first <= day < week.end:
                rows[user, week.number, "robot"] = 1
    for week in weeks:
        for did in events:
            if audience is None and week.number and week.first - settings.new_days * DAY <= did.at.date() < week.first:
                rows[did.user, week.number, "audience"] = 1
        for asked in answers:
            if week.first <= asked.at.date() < week.end:
                rows[asked.user, week.number, "seen"] = 1
    for user, number in audience or ():
        rows[user, number, "audience"] = 1
    asked_by_people = [one for one in answers if (one.user, one.at.date()) not in robots]
    for one in asked_by_people:
        count(one.user, one.at, "answers")
    asked_by_people.sort(key=lambda one: one.at)
    last, hit = {}, set()
    for did in sorted(events, key=lambda did: (did.at, did.event)):
        if (did.user, did.at.date()) in robots:
            continue
        recent = [
            one
            for one in asked_by_people
            if one.user == did.user and one.at <= did.at < one.at + settings.horizon_days * DAY
        ]
        holder = next((one for one in reversed(recent) if did.source in one.places), None)
        engages, before = did.event in engaging, last.get((did.user, did.source))
        is_new = engages and (before is None or did.at - before >= settings.new_days * DAY)
        count(did.user, did.at, f"events:event={did.event}", *["events"] * engages)
        count(did.user, did.at, *["new", f"new:{category(did.source)}"] * is_new)
        count(did.user, did.at, f"amount:event={did.event}", x=round((did.amount or 0) * 2**20) / 2**20)
        if recent:
            count(did.user, did.at, f"owned_events:event={did.event}", *["owned_events"] * engages)
            count(did.user, did.at, *["owned_new"] * is_new)
            count(did.user, did.at, f"owned_amount:event={did.event}", x=round((did.amount or 0) * 2**20) / 2**20)
        if holder:
            count(did.user, did.at, *["listed_new"] * is_new)
        if engages:
            last[did.user, did.source] = did.at
            once = None if holder is None else (did.user, holder.at.date(), did.source)
            if once is not None and once not in hit:
                hit.add(once)
                count(did.user, did.at, "hits", f"hits:{category(did.source)}")
    return {key: x for key, x in rows.items() if x}


def sums_brute(
    rows: Mapping[tuple[int, int, str], float], last: int, salt: str, one: Slice, metrics: Sequence[tuple[str, int]]
) -> tuple[int, list[Fraction], list[list[Fraction]]]:
    """Returns users, totals and products of the variables of weeks 0 … `last`; metrics: (name, unit), one or two."""
    users = {user for user, _, _ in rows if one.low_bp <= arm_of(user, salt) < one.high_bp}
    matrix = []
    for user in users:
        there = [(user, week, "audience") in rows for week in range(last + 1)]
        there[0] = any(there[1:])
        if any((user, week, "robot") in rows for week in range(last + 1)) or not there[0]:
            continue
        row = []
        for week in range(last + 1):
            row.append(Fraction(there[week]))
            for name, unit in metrics:
                x = rows.get((user, week, name), 0) if there[week] else 0
                row.append(Fraction(round(x * unit), unit))
        matrix.append(row)
    size = (1 + len(metrics)) * (last + 1)
    totals = [sum((row[i] for row in matrix), Fraction()) for i in range(size)]
    products = [[sum((row[i] * row[j] for row in matrix), Fraction()) for j in range(size)] for i in range(size)]
    return len(matrix), totals, products
