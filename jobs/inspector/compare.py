"""Two runs side by side: recipes, inputs, drift, and what became of the lists."""

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conf.diff import differences
from expectations.drift.checks import DriftProfile, label, value_text
from expectations.drift.findings import Finding
from expectations.report import GateReport
from jobs.inspector.listed import CountCache, Counts, batches_of, numbers_in, side_by_side
from jobs.run.manifest import KeptRun
from models.arrays.arrow import Column, ListColumn, lengths_of, numpy_of, whole

TENTHS = 10
_MOST = 20
_CANDIDATES = 400
"""Users with the least in common that are kept until it is known who of them is forgotten."""
Values = NDArray[Any]
_COLUMNS = ["user_id", "source_ids"]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Moved:
    """A source and how many lists held it before and after."""

    source: int | str
    before: int
    after: int

    @property
    def change(self) -> int:
        """More lists than before."""
        return self.after - self.before


@dataclass(frozen=True)
class Changed:
    """A user whose list changed: how many sources are in both lists, and how long these are."""

    user: int | str
    kept: int
    before: int
    after: int

    @property
    def share(self) -> float:
        """Sources in both ÷ the longer list."""
        return self.kept / max(self.before, self.after, 1)


@dataclass(frozen=True)
class Overlap:
    """What the lists of the users in both runs have in common."""

    users: int
    only_before: int
    only_after: int
    same: int
    """Users with the same sources in the same order."""
    mean: float | None
    """Mean share of a list that is in the other one; None: no user is in both."""
    tenths: tuple[int, ...]
    """Users by that share: below 10 %, below 20 %, …, at least 90 %."""
    changed: tuple[Changed, ...]
    """Users with the least in common first; the forgotten are still among them."""


def overlap(before: KeptRun, after: KeptRun, cut: int) -> Overlap:
    """Returns what became of the lists, of which at most `cut` places are compared; raises ChangedSince."""
    old = _Lists.read(before)
    seen, tenths, same, total = 0, np.zeros(TENTHS, np.int64), 0, 0.0
    worst: list[tuple[float, Any, Changed]] = []
    rows_after = 0
    batches = batches_of(after, _COLUMNS)
    for part in side_by_side(lambda batch: _compared(old, batch, cut), batches):
        rows_after += part.rows
        if not len(part.users):
            continue
        seen += len(part.share)
        same += int(part.same.sum())
        total += float(part.share.sum())
        tenths += np.bincount(np.minimum((part.share * TENTHS).astype(int), TENTHS - 1), minlength=TENTHS)
        worst = heapq.nsmallest(_CANDIDATES, [*worst, *_worst(part)], key=lambda one: one[:2])
    return Overlap(
        users=seen,
        only_before=len(old.users) - seen,
        only_after=rows_after - seen,
        same=same,
        mean=total / seen if seen else None,
        tenths=tuple(int(count) for count in tenths),
        changed=tuple(one[2] for one in worst),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The users of a batch that are in both runs, and what their two lists have in common."""

    rows: int
    users: Values
    kept: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    same: NDArray[np.bool_]

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """Sources in both ÷ the longer list; two empty lists have all in common."""
        longer = np.maximum(self.before, self.after)
        return np.where(longer > 0, self.kept / np.maximum(longer, 1), 1.0)


@dataclass(frozen=True, eq=False)
class _Lists:
    """All lists of a run, as numbers: rows in the order of the sorted users."""

    users: Values
    order: NDArray[np.int64]
    offsets: NDArray[np.int64]
    values: NDArray[np.int64]
    names: Column | None
    """Texts of sources in the order of their numbers; None: ids are numbers themselves."""

    @classmethod
    def read(cls, run: KeptRun) -> "_Lists":
        """Reads the lists of a run."""
        batches = list(batches_of(run, _COLUMNS))
        lists: list[ListColumn] = [batch["source_ids"] for batch in batches]
        users = np.concatenate([numpy_of(batch["user_id"]) for batch in batches]) if batches else _NONE
        del batches
        is_text = bool(lists) and not pa.types.is_integer(lists[0].type.value_type)
        names = whole(pc.unique(pa.chunked_array([one.flatten() for one in lists]))) if is_text else None
        ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *map(lengths_of, lists)]))
        values = np.empty(int(ends[-1]), np.int64)
        at = 0
        while lists:  # one by one, so that they are not in memory twice
            some = _numbers(lists.pop(0).flatten(), names)
            values[at : at + len(some)] = some
            at += len(some)
        order = np.argsort(users, kind="stable")
        return cls(users[order], order, ends, values, names)

    def find(self, users: Values) -> NDArray[np.int64]:
        """Returns the row of each user; −1: the run has none."""
        if not len(self.users):
            return np.full(len(users), -1)
        at = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        return np.where(self.users[at] == users, self.order[at], -1)


def _compared(old: _Lists, batch: pa.RecordBatch, cut: int) -> _Part:
    users, lists = numpy_of(batch["user_id"]), _lists_of(batch)
    rows = old.find(users)
    both = rows >= 0
    lengths = lengths_of(lists)
    starts = np.cumsum(lengths) - lengths
    values = _numbers(lists.flatten(), old.names)
    top = _top(values, old.values)
    before = np.minimum(old.offsets[rows[both] + 1] - old.offsets[rows[both]], cut)
    after = np.minimum(lengths[both], cut)
    width = int(max(before.max(initial=0), after.max(initial=0)))
    left = _square(old.values, old.offsets[rows[both]], before, width, top)
    right = _square(values, starts[both], after, width, top + width)
    same = (before == after) & ((left == right) | (np.arange(width) >= before[:, None])).all(axis=1)
    joined = np.concatenate([left, right], axis=1)
    joined.sort(axis=1)
    kept = (joined[:, 1:] == joined[:, :-1]).sum(axis=1)
    return _Part(batch.num_rows, users[both], kept, before, after, same)


def _top(*values: NDArray[np.int64]) -> int:
    """Returns a number from which on no source has one, so that it can fill lists up."""
    return max((int(some.max(initial=0)) for some in values), default=0) + 1


def _square(
    values: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64], width: int, fill: int
) -> NDArray[np.int64]:
    """Returns lists as rows of the same width; what is short is filled up with numbers that are in no list."""
    places = np.arange(width)
    at = starts[:, None] + places
    np.minimum(at, max(len(values) - 1, 0), out=at)
    made = values[at] if len(values) else np.zeros(at.shape, np.int64)
    return np.where(places < lengths[:, None], made, fill + places)


def _lists_of(batch: pa.RecordBatch) -> ListColumn:
    return batch["source_ids"]


def _numbers(values: Any, names: Column | None) -> NDArray[np.int64]:
    """Returns sources as numbers; of texts those of `names`, and others beyond them."""
    if names is None:
        return numpy_of(values)
    found = numbers_in(values, names)
    new = found < 0
    if new.any():
        others = values.filter(pa.array(new))
        found[new] = len(names) + numbers_in(others, whole(pc.unique(others)))
    return found


def _worst(part: _Part) -> Iterator[tuple[float, Any, Changed]]:
    """Yields those of a batch that may be among the users with the least in common."""
    share = part.share
    count = min(_CANDIDATES, len(share))
    limit = np.partition(share, count - 1)[count - 1]
    for at in np.flatnonzero(share <= limit)[: 2 * _CANDIDATES]:
        user = part.users[at].item() if isinstance(part.users[at], np.generic) else part.users[at]
        changed = Changed(user, int(part.kept[at]), int(part.before[at]), int(part.after[at]))
        yield (round(float(share[at]), 9), user, changed)


def moved_sources(before: Counts, after: Counts, most: int = _MOST) -> tuple[list[Moved], list[Moved]]:
    """Returns the sources that rose the most and those that fell the most, by the number of lists."""
    sources = whole(pc.unique(pa.chunked_array([before.sources, after.sources])))
    old, new = (_in_order_of(sources, one) for one in (before, after))
    change = new - old
    order = np.argsort(-change, kind="stable")

    def moved(at: int) -> Moved:
        return Moved(sources[int(at)].as_py(), int(old[at]), int(new[at]))

    rose = [moved(at) for at in order[:most] if change[at] > 0]
    fell = [moved(at) for at in order[::-1][:most] if change[at] < 0]
    return rose, fell


def _in_order_of(sources: Column, counts: Counts) -> NDArray[np.int64]:
    found = numbers_in(sources, counts.sources)
    return np.where(found >= 0, np.append(counts.totals, 0)[found], 0)


@dataclass(frozen=True)
class InputChange:
    """One dataset in two runs: its days and rows."""

    name: str
    before: str
    after: str
    rows_before: int | None
    rows_after: int | None


def changed_inputs(before: KeptRun, after: KeptRun) -> list[InputChange]:
    """Returns each dataset that either run read."""
    old, new = _inputs(before), _inputs(after)
    names = [*old, *(name for name in new if name not in old)]
    nothing = ("not read", None)
    return [
        InputChange(name, before_days, after_days, before_rows, after_rows)
        for name in names
        for (before_days, before_rows), (after_days, after_rows) in [(old.get(name, nothing), new.get(name, nothing))]
    ]


def _inputs(run: KeptRun) -> dict[str, tuple[str, int | None]]:
    stage = run.manifest.stages.get("features")
    found: dict[str, tuple[str, int | None]] = {}
    for one in () if stage is None else stage.facts.get("inputs", ()):
        days = sorted(day["day"] for day in one.get("days", ()))
        text = "no day" if not days else days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}, {len(days)} days"
        found[str(one["name"])] = text, sum(int(day.get("kept", day.get("rows", 0))) for day in one.get("days", ()))
    return found


def changed_settings(before: KeptRun, after: KeptRun) -> dict[str, tuple[str, str]]:
    """Returns the settings and versions that differ, by their full name."""
    return {
        **differences(before.manifest.settings, after.manifest.settings),
        **differences(
            {"code version": before.manifest.code_version, "library": before.manifest.libraries},
            {"code version": after.manifest.code_version, "library": after.manifest.libraries},
        ),
    }


@dataclass(frozen=True)
class StatisticPair:
    """One statistic that drift watches, in two runs."""

    name: str
    what: str
    before: str
    after: str
    is_alarm: bool


DRIFT_GATES = ("gate_input_drift.json", "gate_list_drift.json")


def changed_statistics(before: KeptRun, after: KeptRun, most: int = _MOST) -> list[StatisticPair]:
    """Returns the statistics that differ most between two runs: alarms of the newer one first."""
    old = {one.full_name: one for one in findings_of(before)}
    pairs = [(old.get(one.full_name), one) for one in findings_of(after)]
    known = sorted(pairs, key=lambda pair: (pair[1].state != "alarm", -_distance(*pair)))
    return [
        StatisticPair(
            new.full_name,
            label(new),
            "–" if was is None else value_text(was, was.value),
            value_text(new, new.value),
            new.state == "alarm",
        )
        for was, new in known[:most]
        if new.state == "alarm" or _distance(was, new) > 0
    ]


def findings_of(run: KeptRun) -> list[Finding]:
    """Returns what a run's drift gates found."""
    found: list[Finding] = []
    for name in DRIFT_GATES:
        if run.folder.exists(name):
            report = GateReport.from_json(run.folder.read_bytes(name).decode())
            found += report.profile.findings if isinstance(report.profile, DriftProfile) else ()
    return found


def _distance(was: Finding | None, new: Finding) -> float:
    """Returns how far two values are from each other, as part of the larger one."""
    if was is None or was.value is None or new.value is None:
        return 0.0
    return abs(new.value - was.value) / max(abs(new.value), abs(was.value), 1e-9)


@dataclass(frozen=True)
class Comparison:
    """All that the page of two runs says."""

    before: KeptRun
    after: KeptRun
    settings: dict[str, tuple[str, str]]
    inputs: Sequence[InputChange]
    statistics: Sequence[StatisticPair]
    overlap: Overlap | None
    """None: one of the runs has no lists."""
    rose: Sequence[Moved]
    fell: Sequence[Moved]

    def changed(self, forgotten: Collection[int | str], most: int = _MOST) -> list[Changed]:
        """Returns the users whose list changed most, without the forgotten ones."""
        some = () if self.overlap is None else self.overlap.changed
        return [one for one in some if one.user not in forgotten and one.share < 1][:most]


def compare(before: KeptRun, after: KeptRun, counts: CountCache) -> Comparison:
    """Returns what differs between two runs; raises ChangedSince."""
    both = all(run.folder.finished("lists") for run in (before, after))
    found, rose, fell = None, list[Moved](), list[Moved]()
    if both:
        cut = max(_list_size(before), _list_size(after))
        found = overlap(before, after, cut)
        rose, fell = moved_sources(counts.get(before), counts.get(after))
    return Comparison(
        before,
        after,
        changed_settings(before, after),
        changed_inputs(before, after),
        changed_statistics(before, after),
        found,
        rose,
        fell,
    )


def _list_size(run: KeptRun) -> int:
    return int(run.manifest.settings.get("lists", {}).get("n", 1_000))
