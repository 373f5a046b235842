"""The rules of docs/outcomes.md once more, in plain Python without any cleverness."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from conf.contract import HIT_WITHIN_SECONDS
from conf.outcomes import OutcomeSettings

DAY = dt.timedelta(days=1)


class Asked(NamedTuple):
    """An answer."""

    user: int
    at: dt.datetime
    run: str | None
    arm: str
    surface: str
    places: Mapping[int, int | None]
    """Source → position."""


class Did(NamedTuple):
    """An event."""

    user: int
    at: dt.datetime
    source: int
    event: str
    amount: float | None


def brute(
    answers: Sequence[Asked],
    events: Sequence[Did],
    days: Collection[dt.date],
    settings: OutcomeSettings,
    engaging: Collection[str],
    categories: Mapping[int, str | None],
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Returns (day, run, arm, by, value) → figures other than 0."""
    rows: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    users: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    firsts: dict[tuple[Any, ...], dict[int, tuple[dt.datetime, int]]] = defaultdict(dict)
    per_day = Counter((did.user, did.at.date()) for did in events)
    robots = {key for key, count in per_day.items() if count > (settings.robots.max_events_per_day or 10**9)}
    answers = sorted((one for one in answers if (one.user, one.at.date()) not in robots), key=lambda one: one.at)
    kept = (did for did in events if (did.user, did.at.date()) not in robots)
    done = sorted(kept, key=lambda did: (did.at, did.event))

    def cell(answer: Asked, by: str, value: object = None) -> tuple[Any, ...]:
        return answer.at.date(), answer.run, answer.arm, by, None if value is None else str(value)

    for one in (one for one in answers if one.at.date() in days):
        for key in (cell(one, "all"), cell(one, "surface", one.surface)):
            users[key].add(one.user)
            rows[key] += Counter(answers=1, places=len(one.places))
        for source, position in one.places.items():
            rows[cell(one, "category", categories.get(source))] += Counter(places=1)
            rows[cell(one, "position", position)] += Counter(answers=1, places=1)
    hit, seen = set(), dict[tuple[int, int], dt.datetime]()
    for did in done:
        recent = [a for a in answers if a.user == did.user and a.at <= did.at < a.at + settings.horizon_days * DAY]
        owner = recent[-1] if recent else None
        holder = next((one for one in reversed(recent) if did.source in one.places), None)
        engages = did.event in engaging
        last = seen.get((did.user, did.source))
        is_new = engages and (last is None or did.at - last >= settings.new_days * DAY)
        if engages:
            seen[did.user, did.source] = did.at
        if owner is not None and owner.at.date() in days:
            kinds = [("all", None), ("category", categories.get(did.source)), ("surface", owner.surface)]
            for by, value in [("event", did.event), *(kinds if engages else ())]:
                row, listed = rows[cell(owner, by, value)], holder is not None
                row += Counter(events=1, events_listed=int(listed), new=int(is_new), new_listed=int(is_new and listed))
                if by == "event" and did.amount is not None:
                    row["amount"] += did.amount  # type: ignore[assignment]
                    row["amount_listed"] += did.amount * listed  # type: ignore[assignment]
        if holder is None or holder.at.date() not in days:
            continue
        position, kinds = holder.places[did.source], [("event", did.event)]
        once = (did.user, holder.at.date(), did.source)
        if engages and once not in hit:
            hit.add(once)
            kinds += [("all", None), ("category", categories.get(did.source))]
            kinds += [("position", position), ("surface", holder.surface)]
        for by, value in kinds if (*once, did.event) not in hit else kinds[1:]:
            row = rows[cell(holder, by, value)]
            row["hits"] += 1
            row += Counter(f"at_{k}" for k in settings.at if position is not None and position <= k)
            delay = (did.at - holder.at) // dt.timedelta(milliseconds=1)
            of_users = firsts[cell(holder, by, value)]
            of_users[did.user] = min((did.at, delay), of_users.get(did.user, (did.at, delay)))
        hit.add((*once, did.event))
    for key, of_users in firsts.items():
        delays = [delay for _, delay in of_users.values()]
        rows[key] += Counter(users_hit=len(delays), first_hit_ms=sum(delays))
        rows[key] += Counter(f"class_{sum(delay >= 1000 * end for end in HIT_WITHIN_SECONDS)}" for delay in delays)
    for key, row in rows.items():
        whole = (*key[:3], "all", None)
        row["users"] = len(users[key if key[3] in ("all", "surface") else whole])
        if key[3] in ("event", "category"):
            row["answers"] = rows[whole]["answers"]
        if key[3] == "event":
            row["places"] = rows[whole]["places"]
    return {
        key: {name: value for name, value in row.items() if value} for key, row in rows.items() if any(row.values())
    }
