"""Corruptions of events: ids, losses, excesses, names, time and weights."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.random import Generator

from benchmarks.drift import faults
from benchmarks.drift.corruption import Apply, Corruption, Fault, Plan, fault, lose, plan, shuffle
from benchmarks.drift.week import EVENTS, WEEK, Change, Ids, PlantError, Week, number

_BOTS, _PUSHERS, _STRANGE_PUSHERS, _FALSE_LEAVES = 0.01, 0.3, 1 / 3, 1 / 3  # shares of users, or of follows
_HUGE = 1e9
_CLICKS, _REACTIONS, _JOINS = ("clicks",), ("reactions",), ("joins",)


def _shift(column: str) -> Fault:
    return lambda table, rng: faults.shifted(table, column)


def _rename(column: str, names: Callable[[Ids, Generator], Ids]) -> Plan:
    """Returns a plan that gives every id another name, the same in all rows."""

    def lay(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
        old = week.ids(column, datasets)
        return partial(faults.renamed, column=column, old=old, new=names(old, rng))

    return lay


def _mixed(ids: Ids, rng: Generator) -> Ids:
    return ids.take(rng.permutation(len(ids)))


_IDS = (
    fault(
        "users_shifted_by_a_row_in_clicks", "ids mixed up", _CLICKS,
        "Each click has the user of the row before.", _shift("user_id"),
    ),
    fault(
        "users_shifted_by_a_row_in_all_events", "ids mixed up", EVENTS,
        "Each event has the user of the row before.", _shift("user_id"),
    ),
    fault(
        "sources_shifted_by_a_row_in_reactions", "ids mixed up", _REACTIONS,
        "Each reaction has the source of the row before.", _shift("source_id"),
    ),
    fault(
        "users_shuffled_in_reactions", "ids mixed up", _REACTIONS,
        "The users of the reactions are in random order.", shuffle("user_id"),
    ),
    fault(
        "users_shuffled_in_all_events", "ids mixed up", EVENTS,
        "The users of all events are in random order.", shuffle("user_id"),
    ),
    fault(
        "users_shuffled_in_subscriptions", "ids mixed up", ("subscriptions",),
        "The users of the subscriptions are in random order.", shuffle("user_id"),
    ),
    fault(
        "sources_shuffled_in_clicks", "ids mixed up", _CLICKS,
        "The sources of the clicks are in random order.", shuffle("source_id"),
    ),
    fault(
        "sources_shuffled_in_all_events", "ids mixed up", EVENTS,
        "The sources of all events are in random order.", shuffle("source_id"),
    ),
    plan(
        "users_mistaken_for_others_in_clicks", "ids mixed up", _CLICKS,
        "Each user's clicks are called another user's.", _rename("user_id", _mixed),
    ),
    plan(
        "users_hashed_anew_in_reactions", "ids renamed", _REACTIONS,
        "The users of the reactions have ids that no other dataset knows.", _rename("user_id", faults.strangers),
    ),
    plan(
        "sources_hashed_anew_in_clicks", "ids renamed", _CLICKS,
        "The sources of the clicks have ids that no other dataset knows.", _rename("source_id", faults.strangers),
    ),
)  # fmt: skip


def _lose_country(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    """Loses the users of the third largest country, as the newest audience says."""
    audience = week.read("audience", week.days("audience")[-1])
    if "country" not in audience.column_names:
        raise PlantError("the audience has no column 'country'")
    counts = pc.value_counts(audience["country"])
    order = np.argsort(-np.asarray(counts.field("counts")), kind="stable")
    country = counts.field("values")[int(order[:3][-1])].as_py()
    users = audience.filter(pc.field("country") == country)["user_id"].combine_chunks()
    return lambda table: faults.without(table, "user_id", users)


def _lose_hours(table: pa.Table, rng: Generator) -> pa.Table:
    return table.filter(pa.array(faults.hour_of(table) % 2 == 0))


def _lose_last_days(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    recent = number(week.as_of) - 2
    return lambda table: faults.thinned(table, 0.99, rng, faults.day_of(table) >= recent)


def _lose_names(name: str, share: float) -> Fault:
    return lambda table, rng: faults.thinned(table, share, rng, faults.having(table, "event", name))


_LOSSES = (
    plan(
        "half_of_users_lost_from_all_events", "losses", EVENTS,
        "Half of the users have no events.", lose("user_id", 0.5),
    ),
    plan(
        "half_of_users_lost_from_clicks", "losses", _CLICKS,
        "Half of the users have no clicks.", lose("user_id", 0.5),
    ),
    plan(
        "tenth_of_users_lost_from_all_events", "losses", EVENTS,
        "A tenth of the users have no events.", lose("user_id", 0.1),
    ),
    plan(
        "tenth_of_users_lost_from_reactions", "losses", _REACTIONS,
        "A tenth of the users have no reactions.", lose("user_id", 0.1),
    ),
    fault(
        "half_of_all_events_lost", "losses", EVENTS,
        "Half of the events are missing, at random.", lambda table, rng: faults.thinned(table, 0.5, rng),
    ),
    plan(
        "quarter_of_sources_lost_from_all_events", "losses", EVENTS,
        "A quarter of the sources have no events.", lose("source_id", 0.25),
    ),
    plan(
        "quarter_of_sources_lost_from_catalogue", "losses", ("sources",),
        "A quarter of the sources are missing in the catalogue.", lose("source_id", 0.25),
    ),
    plan(
        "country_lost_everywhere", "losses", (*EVENTS, "subscriptions", "blocks", "audience"),
        "The users of the third largest country are in no dataset.", _lose_country, "country",
    ),
    fault(
        "event_name_lost", "losses", _REACTIONS, "There are no shares.", _lose_names("share", 1.0),
    ),
    fault(
        "event_name_less_30_percent", "losses", _REACTIONS,
        "Three in ten comments are missing.", _lose_names("comment", 0.3),
    ),
    fault(
        "every_other_hour_lost_from_clicks", "losses", _CLICKS,
        "The clicks of every other hour are missing.", _lose_hours,
    ),
    fault(
        "every_other_hour_lost_from_all_events", "losses", EVENTS,
        "The events of every other hour are missing.", _lose_hours,
    ),
    plan(
        "last_two_days_nearly_empty", "losses", EVENTS,
        "The last two days hold a hundredth of their events.", _lose_last_days,
    ),
)  # fmt: skip


def _twice(share: float) -> Fault:
    return lambda table, rng: faults.doubled(table, share, rng)


def _bots(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    bots = faults.some(week.ids("user_id", datasets), _BOTS, rng)
    return lambda table: faults.overrun(table, bots, rng)


def _push(times: int) -> Plan:
    def lay(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
        sources = week.ids("source_id", datasets)
        chosen = sources[int(rng.integers(0, len(sources)))].as_py()
        users = faults.some(week.ids("user_id", EVENTS), _PUSHERS, rng)
        return lambda table: faults.pushed(table, users, chosen, times, rng)

    return lay


def _push_stranger(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    stranger = faults.strangers(week.ids("source_id", datasets).slice(0, 1), rng)[0].as_py()
    users = faults.some(week.ids("user_id", EVENTS), _STRANGE_PUSHERS, rng)
    return lambda table: faults.pushed(table, users, stranger, 3, rng)


def _leave(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    follows = week.read("subscriptions", week.days("subscriptions")[-1])
    chosen = follows.take(np.sort(rng.permutation(len(follows))[: round(_FALSE_LEAVES * len(follows))]))
    users, sources = (chosen[name].combine_chunks() for name in ("user_id", "source_id"))

    def change(table: pa.Table) -> pa.Table:
        both = faults.forged(table, users, sources, rng)
        return faults.overwritten(both, "event", "leave", np.arange(len(both)) >= len(table))

    return change


_EXCESSES = (
    fault(
        "clicks_doubled", "excesses", _CLICKS, "Each click is there twice.", _twice(1.0),
    ),
    fault(
        "all_events_doubled", "excesses", EVENTS, "Each event is there twice.", _twice(1.0),
    ),
    fault(
        "third_of_reactions_twice", "excesses", _REACTIONS,
        "A third of the reactions are there twice, as retries write them.", _twice(1 / 3),
    ),
    plan(
        "bots_make_half_of_reactions_and_clicks", "excesses", ("reactions", "clicks"),
        "One user in a hundred reacts and clicks as much as all others together, on any source alike.", _bots,
    ),
    plan(
        "source_pushed_weakly", "excesses", _REACTIONS,
        "One source gets a reaction of three users in ten.", _push(1),
    ),
    plan(
        "source_pushed_strongly", "excesses", _REACTIONS,
        "One source gets ten reactions of three users in ten.", _push(10),
    ),
    plan(
        "unknown_source_pushed", "excesses", _REACTIONS,
        "A source that the catalogue lacks gets three reactions of every third user.", _push_stranger,
    ),
    fault(
        "impressions_logged_as_clicks", "excesses", _CLICKS,
        "Seven of eight clicks are sources that were shown and not clicked.",
        lambda table, rng: faults.impressed(table, 7, rng),
    ),
    plan(
        "false_leaves", "excesses", _JOINS, "A third of all follows get an event leave; nobody left.", _leave,
    ),
)  # fmt: skip


def _swap(one: str, other: str) -> Fault:
    return lambda table, rng: faults.swapped(table, "event", one, other)


def _repeat(week: Week, datasets: Sequence[str], rng: Generator) -> Change:
    first = number(week.days(datasets[0])[0])
    return lambda table: faults.repeated(table, first, WEEK - 1)


def _replay(week: Week, rng: Generator) -> None:
    before = Week(week.root, week.as_of - dt.timedelta(days=WEEK))
    for dataset in EVENTS:
        replayed = faults.days_later(before.table(dataset), WEEK)
        week.change(dataset, partial(_instead, replayed))


def _instead(rows: pa.Table, table: pa.Table) -> pa.Table:
    return rows


_NAMES_AND_TIME = (
    fault(
        "likes_and_shares_swapped", "names", _REACTIONS,
        "Likes are called shares, and shares likes.", _swap("like", "share"),
    ),
    fault(
        "joins_and_leaves_swapped", "names", _JOINS,
        "Joins are called leaves, and leaves joins.", _swap("join", "leave"),
    ),
    plan(
        "stale_day_of_clicks_repeated", "time", _CLICKS,
        "The week's other days hold the clicks of its first day again.", _repeat,
    ),
    plan(
        "stale_day_of_all_events_repeated", "time", EVENTS,
        "The week's other days hold the events of its first day again.", _repeat,
    ),
    Corruption(
        "old_week_replayed", "time", EVENTS, "Each day holds the events of a week before, with its own date.", _replay,
    ),
    fault(
        "five_hours_late", "time", EVENTS,
        "Each event is dated five hours later, some on the next day.",
        lambda table, rng: faults.later(table, 5 * faults.HOUR, with_day=True),
    ),
    fault(
        "five_hours_late_and_lost_at_midnight", "time", EVENTS,
        "Each event is dated five hours later, and those that pass midnight are lost.",
        lambda table, rng: faults.later(table, 5 * faults.HOUR, with_day=False),
    ),
)  # fmt: skip


def _scale(factor: float) -> Fault:
    return lambda table, rng: faults.put(table, "weight", pc.multiply(table["weight"], factor))


def _one_huge(table: pa.Table, rng: Generator) -> pa.Table:
    return faults.overwritten(table, "weight", _HUGE, np.arange(len(table)) == rng.integers(0, len(table)))


def _weighted(change: Fault) -> Apply:
    """Returns what does it to each event dataset that has weights; raises PlantError where none has."""

    def apply(week: Week, rng: Generator) -> None:
        having = [name for name in EVENTS if "weight" in week.read(name, week.days(name)[0]).column_names]
        if not having:
            raise PlantError(f"no event dataset of {week.root} has a column 'weight'")
        for dataset in having:
            week.change(dataset, lambda table: change(table, rng))

    return apply


_WEIGHTS = (
    Corruption(
        "weights_times_ten", "weights", EVENTS,
        "Weights are ten times what they were.", _weighted(_scale(10)), "weight",
    ),
    Corruption(
        "weights_tiny", "weights", EVENTS,
        "Weights are a thousandth of what they were.", _weighted(_scale(1e-3)), "weight",
    ),
    Corruption(
        "one_weight_huge", "weights", EVENTS,
        "One event has a weight of a billion.", _weighted(_one_huge), "weight",
    ),
)  # fmt: skip


EVENT_CORRUPTIONS = (*_IDS, *_LOSSES, *_EXCESSES, *_NAMES_AND_TIME, *_WEIGHTS)
