"""The temporal protocol on deck_cards: 180 days before a cut, judged by what users first play in the 14 days after."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.judge import split_events
from benchmarks.quality.errors import QualityError
from benchmarks.quality.part import SplitPart
from benchmarks.quality.split import Split
from benchmarks.real_input import KNOWN, RealInputError, days_of, read_events
from models.arrays.arrow import column_of

CUT = dt.date(2025, 9, 1)
"""The first day judged."""
_WINDOW_DAYS, _JUDGED_DAYS = 180, 14
_HALF_LIFE_DAYS = 7.0


def deck_cards_split(data: Path, k: int) -> Split:
    """Returns the split: settings are chosen two weeks before the days that judge them. Raises QualityError."""
    try:
        events = read_events("deck_cards", data)
    except RealInputError as error:
        raise QualityError(str(error)) from None
    before = CUT - dt.timedelta(days=_JUDGED_DAYS)
    return Split("deck_cards", k, part_at(events, before), part_at(events, CUT))


def part_at(events: pa.Table, cut: dt.date) -> SplitPart:
    """Returns the 180 days before `cut`; weights are Σ 2^(−age / half-life), the truth new pairs of known users."""
    split = split_events(events, cut, _WINDOW_DAYS, _JUDGED_DAYS, KNOWN["deck_cards"].positive)
    age = (cut - dt.date(1970, 1, 1)).days - days_of(split.before)
    weights = 2.0 ** (-age / _HALF_LIFE_DAYS)
    pairs = split.before.select(["user_id", "source_id"])
    known_user = pc.is_in(split.after["user_id"], pairs["user_id"].combine_chunks())
    new = split.after.filter(known_user).join(
        pairs.group_by(pairs.column_names).aggregate([]), pairs.column_names, join_type="left anti"
    )
    return SplitPart.of(pairs.append_column("weight", column_of(weights)), new, KNOWN["deck_cards"].ids)
