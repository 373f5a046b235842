"""Judges published lists of real data against what their users newly engaged with afterwards.

    python -m benchmarks.judge deck_cards|online_retail --lists PATH… --as-of DAY [--window 14] [--days 14] [--k 20]

The truth of a user: sources with a positive event in the `days` days from `as_of` on and no event in the `window` days
before. The popularity list is judged beside ours for the same users: sources ranked by their number of users with a
positive event in the window, without those that the user saw in it. Only users with a list and a truth are judged;
sources that are new after the window stay in the truth, although no list can hold them. Errors are RealInputError and
ListsError.
"""

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from benchmarks.real_input import DATA, KNOWN, days_of, read_events
from conf.errors import DiscoveryError
from deploy.demo.ranked import Entries, Ids, Pairs, Score, lists_of_ranking, whole


@dataclass(frozen=True)
class EventSplit:
    """Events before and after a day."""

    before: pa.Table
    """Events of the window."""
    after: pa.Table
    """Positive events of the days judged."""
    positive: tuple[str, ...]
    """Names of events that count as liking a source."""


@dataclass(frozen=True)
class ScorePair:
    """Scores of our lists and of the popularity list, for the same users."""

    k: int
    ours: Score
    popularity: Score


def split_events(events: pa.Table, as_of: dt.date, window: int, days: int, positive: Sequence[str]) -> EventSplit:
    """Returns the events of the `window` days before `as_of` and the positive ones of the `days` days from it on."""
    age = days_of(events) - (as_of - dt.date(1970, 1, 1)).days
    before = events.filter(pa.array((age >= -window) & (age < 0)))
    after = events.filter(pa.array((age >= 0) & (age < days)))
    return EventSplit(before, _positive(after, positive), tuple(positive))


def judge(lists: pa.Table, split: EventSplit, k: int) -> ScorePair:
    """Judges lists (user_id, source_ids best first), one row per user. Raises ListsError when nobody can be judged."""
    ranking = _ranking(_positive(split.before, split.positive))
    popular = lists_of_ranking(ranking, lists["user_id"], split.before, k)
    return ScorePair(k, _score(lists, split, k), _score(popular, split, k))


def _score(lists: pa.Table, split: EventSplit, k: int) -> Score:
    users, sources = lists["user_id"], _known_sources(split)
    truth = _without(Pairs.of(split.after, users, sources), Pairs.of(split.before, users, sources), len(sources))
    entries = Entries.of(lists, sources, k)
    hits = np.isin(entries.rows * len(sources) + entries.sources, truth)
    return entries.score(hits, np.bincount(truth // len(sources), minlength=len(lists)))


def _without(new: Pairs, seen: Pairs, sources: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Returns the distinct pairs of `new` that are not in `seen`, as row · sources + source."""
    return np.setdiff1d(new.rows * sources + new.sources, seen.rows * sources + seen.sources)


def _known_sources(split: EventSplit) -> Ids:
    return pc.unique(pa.concat_arrays([whole(split.before["source_id"]), whole(split.after["source_id"])]))


def _ranking(events: pa.Table) -> Ids:
    """Returns the sources by falling number of users, then by id."""
    users = events.group_by("source_id").aggregate([("user_id", "count_distinct")])
    return whole(users.sort_by([("user_id_count_distinct", "descending"), ("source_id", "ascending")])["source_id"])


def _positive(events: pa.Table, names: Sequence[str]) -> pa.Table:
    return events.filter(pc.is_in(events["event"], pa.array(names)))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, and with --json one JSON object as the last line. Returns the exit code: 0, or 2 for an error."""
    arguments = _parse(argv)
    known = KNOWN[arguments.name]
    try:
        events = read_events(arguments.name, arguments.data)
        split = split_events(events, arguments.as_of, arguments.window, arguments.days, known.positive)
        lists = ds.dataset(arguments.lists, format="parquet").to_table(columns=["user_id", "source_ids"])
        verdict = judge(lists, split, arguments.k)
    except DiscoveryError as error:
        print(f"judge: {error}", file=sys.stderr)
        return 2
    print(_table(verdict))
    if arguments.json:
        print(json.dumps({"name": arguments.name, "as_of": str(arguments.as_of), **asdict(verdict)}))
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description="Judges published lists.")
    parser.add_argument("name", choices=sorted(KNOWN))
    parser.add_argument("--lists", nargs="+", required=True, help="Parquet files, or one folder of them")
    parser.add_argument("--as-of", type=dt.date.fromisoformat, required=True, help="as of the run that made them")
    parser.add_argument("--window", type=int, default=14, help="days of events that the run read")
    parser.add_argument("--days", type=int, default=14, help="days judged, from as_of on")
    parser.add_argument("--k", type=int, default=20, help="length at which lists are cut")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with NAME.parquet")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args(argv)
    if len(arguments.lists) == 1:
        arguments.lists = arguments.lists[0]  # pyarrow opens a folder only when it is named alone
    return arguments


def _table(verdict: ScorePair) -> str:
    k, ours, popular = verdict.k, verdict.ours, verdict.popularity
    rows = [
        ("", f"Recall@{k}", f"NDCG@{k}", "users"),
        *(_row(*row) for row in (("ours", ours), ("popularity", popular))),
    ]
    return "\n".join(f"{name:<12}{recall:>10}{ndcg:>10}{users:>10}" for name, recall, ndcg, users in rows)


def _row(name: str, score: Score) -> tuple[str, str, str, str]:
    return name, f"{score.recall:.4f}", f"{score.ndcg:.4f}", f"{score.users:,}"


if __name__ == "__main__":
    sys.exit(main())
