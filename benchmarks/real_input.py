"""Writes real interactions as datasets of the input contract: `events/dt=YYYY-MM-DD/part-0.parquet` and `_SUCCESS`.

    python -m benchmarks.real_input deck_cards|online_retail OUT [--data ../shared/data]

Columns: user_id, source_id, event, ts, weight. A day without events gets no partition; the product's YAML says what a
missing day means.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import DiscoveryError
from conf.ids import IdKind
from deploy.demo.ranked import whole

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
"""Default folder of the data: `../shared/data`, seen from the repository."""
_DAY_SECONDS = 86_400


class RealInputError(DiscoveryError):
    """The data are missing, or the folder to write exists already."""


@dataclass(frozen=True)
class Known:
    """One data set."""

    ids: IdKind
    """Kind of the ids; users and sources have the same."""
    positive: tuple[str, ...]
    """Names of events that count as liking a source."""


KNOWN = {
    "deck_cards": Known(ids="int64", positive=("main", "side")),
    "online_retail": Known(ids="string", positive=("purchase",)),
}
"""The data sets by name."""


def read_events(name: str, data: Path = DATA) -> pa.Table:
    """Returns one row per event with our columns, in order of time. Raises RealInputError without the file."""
    path = data / f"{name}.parquet"
    if not path.is_file():
        raise RealInputError(f"{path} is missing: name the folder of {name}.parquet with --data")
    table = pq.read_table(path).rename_columns({"item_id": "source_id"})
    kind = pa.int64() if KNOWN[name].ids == "int64" else pa.string()
    users, sources = (whole(table[column].cast(kind)) for column in ("user_id", "source_id"))
    times = whole(table["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.timestamp("us", tz="UTC")))
    event, weight = whole(table["event"]), whole(table["weight"])
    events = pa.table({"user_id": users, "source_id": sources, "event": event, "ts": times, "weight": weight})
    return events.sort_by("ts")


def days_of(events: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Returns the UTC day of each event, in days since 1970."""
    return np.asarray(events["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64())) // _DAY_SECONDS


def write_dataset(events: pa.Table, folder: Path) -> int:
    """Writes events, which are in order of time, as a partition per day. Returns the number of days.

    Raises RealInputError when the folder exists.
    """
    if folder.exists():
        raise RealInputError(f"{folder} exists: delete it or name another folder")
    days = days_of(events)
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
        partition = folder / f"dt={days[start].astype('datetime64[D]')}"
        partition.mkdir(parents=True)
        pq.write_table(events.slice(start, end - start), partition / "part-0.parquet")
        (partition / "_SUCCESS").touch()
    return len(starts)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, or 2 when data are missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_input", description="Real data as datasets.")
    parser.add_argument("name", choices=sorted(KNOWN))
    parser.add_argument("out", type=Path, help="folder in which events/ is made")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with NAME.parquet")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    try:
        events = read_events(arguments.name, arguments.data)
        days = write_dataset(events, arguments.out / "events")
    except RealInputError as error:
        print(f"real input: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {len(events):,} events on {days:,} days in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
