"""Which event counts for which answer: the rules of docs/outcomes.md, for all users of a bucket at once.

An event belongs to the latest answer before it (`owner`), and is listed by the latest answer before it that held its
source (`holder`), each less than the horizon ago. At one instant, answers come before events.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conf.outcomes import OutcomeSettings
from models.outcomes.columns import NONE, Answers, Events, Flags, Ints, different
from models.outcomes.rows import DAY_US

_BITS = 23
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 ÷ the golden ratio: a product with it spreads keys evenly over its upper bits."""


@dataclass(frozen=True)
class Credit:
    """What each event counts for, and for which answer; the same place in each array is one event."""

    owner: Ints
    """Which answer; NONE: no answer."""
    holder: Ints
    position: Ints
    """Of the source in the holder's list; 0: unknown, or no holder."""
    hit: Flags
    """The first engaging event of (day of the holder, user, source)."""
    hit_of_event: Flags
    """The first event of its name."""
    new: Flags
    """Of events with an owner: engages, and is the first one of user and source in `new_days`."""


def credit(answers: Answers, events: Events, settings: OutcomeSettings) -> Credit:
    """Returns what events count for; neither answers nor events are of robots."""
    owner = _owners(answers, events, settings)
    owned = np.flatnonzero(owner != NONE)
    pair = _pairs(answers, events)
    holder, position = (np.full(len(owner), empty) for empty in (NONE, 0))
    holder[owned], position[owned] = _holders(answers, events.at[owned], pair[owned], events, settings)
    listed = np.flatnonzero(holder != NONE)
    day, at = answers.day[holder[listed]], events.at[listed]
    hit, hit_of_event = (np.zeros(len(owner), np.bool_) for _ in range(2))
    of_event = listed[_firsts(at, events.event.code[listed], day, pair[listed])]
    hit_of_event[of_event] = True
    is_hit = events.engages[listed]
    hit[listed[is_hit][_firsts(at[is_hit], day[is_hit], pair[listed][is_hit])]] = True
    return Credit(owner, holder, position, hit, hit_of_event, _new(events, owned, pair, settings))


def _pairs(answers: Answers, events: Events) -> Ints:
    """Returns a number for user and source of each event."""
    return events.user * width_of(answers, events) + events.source


def width_of(answers: Answers, events: Events) -> int:
    """Returns how many numbers of sources there may be."""
    return 1 + int(max(answers.source.max(initial=0), events.source.max(initial=0)))


def _owners(answers: Answers, events: Events, settings: OutcomeSettings) -> Ints:
    owner = np.full(len(events.at), NONE)
    late = np.flatnonzero(events.at >= answers.at.min(initial=np.iinfo(np.int64).max))
    owner[late] = _latest(answers.user, answers.at, events.user[late], events.at[late], settings)
    return owner


def _holders(answers: Answers, at: Ints, pair: Ints, events: Events, settings: OutcomeSettings) -> tuple[Ints, Ints]:
    """Returns the holder of each of some events, and the position of its source there."""
    of_place = answers.user[answers.answer] * width_of(answers, events) + answers.source
    of_place[answers.source == NONE] = NONE
    touched = places_among(of_place, different(pair))
    kept = touched[_in_order(answers, touched, of_place[touched])]
    pairs = different(of_place[kept])
    held = np.searchsorted(pairs, pair)
    held[held == len(pairs)] = 0
    asked = np.flatnonzero(pairs[held] == pair) if len(pairs) else np.empty(0, np.int64)
    times = answers.at[answers.answer[kept]]
    found = _latest(np.searchsorted(pairs, of_place[kept]), times, held[asked], at[asked], settings)
    holder, position = (np.full(len(at), empty) for empty in (NONE, 0))
    is_held = asked[found != NONE]
    place = kept[found[found != NONE]]
    holder[is_held], position[is_held] = answers.answer[place], answers.position[place]
    return holder, position


def _in_order(answers: Answers, places: Ints, pair: Ints) -> Ints:
    """Returns which of the places decide, by pair and time: of a source's places in one answer the first.

    Of answers that are alike but for their lists, the place with the largest position.
    """
    alike = _alike(answers)[answers.answer[places]]
    once = _firsts(places, answers.answer[places], pair)
    order = once[np.lexsort((answers.position[places][once], alike[once], pair[once]))]
    is_last = np.ones(len(order), np.bool_)
    is_last[:-1] = (pair[order][1:] != pair[order][:-1]) | (alike[order][1:] != alike[order][:-1])
    return order[is_last]


def _alike(answers: Answers) -> Ints:
    """Returns a number for each answer, the same for those that only differ in their lists."""
    columns = (answers.user, answers.at, answers.run.code, answers.arm.code, answers.surface.code)
    differs = np.zeros(len(answers.at), np.bool_)
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.cumsum(differs)


def _new(events: Events, owned: Ints, pair: Ints, settings: OutcomeSettings) -> Flags:
    engaging = np.flatnonzero(events.engages)
    asked = owned[events.engages[owned]]
    some = engaging[places_among(pair[engaging], different(pair[asked]))]
    is_owned = np.zeros(len(pair), np.bool_)
    is_owned[asked] = True
    return new_among(events, some, pair, settings) & is_owned


def new_among(events: Events, some: Ints, pair: Ints, settings: OutcomeSettings) -> Flags:
    """Returns which events are the first of their pair in `new_days`; only those in some (places) are looked at.

    pair: a number for user and source of each event.
    """
    new = np.zeros(len(pair), np.bool_)
    order = some[np.lexsort((events.event.code[some], events.at[some], pair[some]))]
    since = np.diff(events.at[order], prepend=0)
    is_first = np.diff(pair[order], prepend=NONE) != 0
    new[order] = is_first | (since >= settings.new_days * DAY_US)
    return new


def _latest(keys: Ints, times: Ints, key: Ints, at: Ints, settings: OutcomeSettings) -> Ints:
    """Returns the last place in keys and times, sorted by both, that is not after (key, at), less than the horizon."""
    instants = different(times)
    sorted_by, wanted = (
        some * (len(instants) + 1) + np.searchsorted(instants, when, side="right")
        for some, when in ((keys, times), (key, at))
    )
    place = np.searchsorted(sorted_by, wanted, side="right") - 1
    if not len(keys):
        return np.full(len(key), NONE)
    is_found = (place >= 0) & (keys[place] == key) & (at - times[place] < settings.horizon_days * DAY_US)
    found: Ints = np.where(is_found, place, NONE)
    return found


def _firsts(*columns: Ints) -> Ints:
    """Returns the places of rows with the least value of the first column, for each value of the others."""
    order, others = np.lexsort(columns), columns[1:]
    is_first = np.zeros(len(order), np.bool_)
    is_first[:1] = True
    for column in others:
        is_first[1:] |= np.diff(column[order]) != 0
    return order[is_first]


def places_among(keys: Ints, some: Ints) -> Ints:
    """Returns the places of keys that are among some (sorted); a table of flags rules most of the others out."""
    flags = np.zeros(1 << _BITS, np.bool_)
    flags[_hashed(some)] = True
    maybe = np.flatnonzero(flags[_hashed(keys)])
    if not len(some):
        return maybe
    place = np.searchsorted(some, keys[maybe])
    place[place == len(some)] = 0
    found: Ints = maybe[some[place] == keys[maybe]]
    return found


def _hashed(keys: Ints) -> NDArray[np.uint64]:
    return (keys.astype(np.uint64) * _MIX) >> np.uint64(64 - _BITS)
