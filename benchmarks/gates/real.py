"""Two years of tournament decks and one of a wholesaler's orders, as the pasts of products that run on Mondays.

They have no snapshots. Ones of their own growth and noise are derived once eight weeks are known: *subscriptions* are
the pairs with three events or more in eight weeks, *blocks* those of the rarer event, the *audience* the users of the
last four weeks; of the *sources* of the last 90 days those may be recommended that the last four weeks have.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.gates.past import WEEK, Events, Past, SnapshotRows, Snapshots, window_days
from benchmarks.real_input import KNOWN, days_of, read_events
from conf.load import load_settings
from deploy.chain import REPO
from deploy.demo.ranked import Column, Indices, Marks, whole

_RARE = {"deck_cards": "side", "online_retail": "return"}
_SHORT, _LONG, _KNOWN = 28, 56, 90  # days
_OFTEN = 3
_THURSDAY = 3
"""Weekday of 1970-01-01."""


def real_past(name: str, data: Path, weekday: int = 0) -> Past:
    """Returns the product of `conf/<name>.yml`, run weekly (0: Monday). Raises RealInputError without data."""
    settings, table = load_settings(REPO / f"conf/{name}.yml"), read_events(name, data)
    weights = settings.interactions.event_weights
    event = np.asarray(table["event"])
    events = Events(
        days_of(table),
        _numbers(table["user_id"]),
        _numbers(table["source_id"]),
        np.select([event == known for known in weights], list(weights.values())).astype(np.float64),
    )
    window = window_days(settings, "events", int(events.day[-1]) + 1)
    first = int(events.day[0]) + window
    first += (weekday - _THURSDAY - first) % WEEK
    return Past(
        name=name,
        ids=KNOWN[name].ids,
        events={"events": events},
        windows={"events": window},
        snapshots=_snapshots(events, event == _RARE[name]),
        half_life=settings.interactions.half_life_days,
        judged_days=settings.split.holdout_days,
        kept_days=settings.runs.partials_keep_days,
        gates=settings.gates,
        runs=tuple(range(first, int(events.day[-1]) + 2, WEEK)),
    )


def _numbers(column: Column) -> Indices:
    codes = whole(column).dictionary_encode().indices
    return np.asarray(codes).astype(np.int64)


def _snapshots(events: Events, rare: Marks) -> Callable[[int], Snapshots]:
    base = int(events.source.max()) + 1
    rare_events = events.at(rare)

    def before(run: int) -> Snapshots:
        if run - _LONG < events.day[0]:
            return {}
        short, long, known = (events.between(run - days, run) for days in (_SHORT, _LONG, _KNOWN))
        pairs, counts = np.unique(long.user * base + long.source, return_counts=True)
        rarely = rare_events.between(run - _LONG, run)
        return {
            "subscriptions": SnapshotRows(users=pairs[counts >= _OFTEN] // base),
            "sources": SnapshotRows(eligible=np.isin(np.unique(known.source), short.source)),
            "blocks": SnapshotRows(users=np.unique(rarely.user * base + rarely.source) // base),
            "audience": SnapshotRows(users=np.unique(short.user)),
        }

    return before
