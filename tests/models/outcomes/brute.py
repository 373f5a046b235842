"""The rules of docs/outcomes.md once more, in plain Python without any cleverness."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from conf.contract import HIT_WITHIN_SECONDS
from conf.outcomes import OutcomeSettings

DAY, MILLISECOND = dt.timedelta(days=1), dt.timedelta(milliseconds=1)


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
    firsts: dict[tuple[Any, ...], dict[int, tuple[dt.datetime, dt.timedelta]]] = defaultdict(dict)
    per_day = Counter((did.user, did.at.date()) for did in events)
    robots = {key for key, count in per_day.items() if count > (settings.robots.max_events_per_day or len(events))}
    answers = sorted((one for one in answers if (one.user, one.at.date()) not in robots), key=lambda one: one.at)
    done = sorted(
        (did for did in events if (did.user, did.at.date()) not in robots), key=lambda did: (did.at, did.event)
    )

    def cells(answer: Asked, **kinds: object) -> list[tuple[Any, ...]]:
        about = (answer.at.date(), answer.run, answer.arm)
        return [(*about, by, None if value is None else str(value)) for by, value in kinds.items()]

    for one in (one for one in answers if one.at.date() in days):
        for key in cells(one, all=None, surface=one.surface):
            users[key].add(one.user)
            rows[key].update(answers=1, places=len(one.places))
        for source, position in one.places.items():
            for key in cells(one, category=categories.get(source), position=position):
                rows[key].update(answers=1, places=1)
    hit, seen = set(), dict[tuple[int, int], dt.datetime]()
    for did in done:
        recent = [a for a in answers if a.user == did.user and a.at <= did.at < a.at + settings.horizon_days * DAY]
        owner = recent[-1] if recent else None
        holder = next((one for one in reversed(recent) if did.source in one.places), None)
        engages, category = did.event in engaging, categories.get(did.source)
        last = seen.get((did.user, did.source))
        is_new = engages and (last is None or did.at - last >= settings.new_days * DAY)
        if engages:
            seen[did.user, did.source] = did.at
        if owner is not None and owner.at.date() in days:
            more = {"all": None, "category": category, "surface": owner.surface} if engages else {}
            for key in cells(owner, event=did.event, **more):
                once = {"events": 1, "new": is_new, "amount": (did.amount or 0) if key[3] == "event" else 0}
                rows[key].update(once)
                rows[key].update({f"{name}_listed": number for name, number in once.items() if holder is not None})
        if holder is None or holder.at.date() not in days:
            continue
        position, day = holder.places[did.source], holder.at.date()
        more = {"all": None, "category": category, "position": position, "surface": holder.surface}
        hits = [((did.user, day, did.source), more if engages else {})]
        hits += [((did.user, day, did.source, did.event), {"event": did.event})]
        for one_hit, kinds in hits:
            for key in cells(holder, **kinds) if one_hit not in hit else ():
                rows[key].update(["hits", *(f"at_{k}" for k in settings.at if position and position <= k)])
                first = (did.at, did.at - holder.at)
                firsts[key][did.user] = min(first, firsts[key].get(did.user, first))
            hit |= {one_hit} if kinds else set()
    for key, of_users in firsts.items():
        delays = [delay for _, delay in of_users.values()]
        rows[key].update(users_hit=len(delays), first_hit_ms=sum(delay // MILLISECOND for delay in delays))
        for delay in delays:
            rows[key][f"class_{sum(delay >= end * dt.timedelta(seconds=1) for end in HIT_WITHIN_SECONDS)}"] += 1
    for key, row in rows.items():
        whole = (*key[:3], "all", None)
        row["users"] = len(users[key if key[3] in ("all", "surface") else whole])
        for name in {"event": ("answers", "places"), "category": ("answers",)}.get(key[3], ()):
            row[name] = rows[whole][name]
    return {key: found for key, row in rows.items() if (found := {name: value for name, value in row.items() if value})}
