"""Two runs side by side: recipes, inputs, drift, and what became of the lists."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conf.diff import differences
from expectations.drift.checks import DriftProfile, label, value_text
from expectations.drift.findings import Finding
from expectations.report import GateReport
from jobs.inspector.archive import Archive
from jobs.inspector.grouped import Grouped, Ints, names_of, ranges, side_by_side
from jobs.inspector.listed import ListCache, Listed
from jobs.run.manifest import KeptRun
from jobs.storage.gate_reports import DRIFT_GATES, report_file
from models.arrays.ids import IdMap, merge_keys

TENTHS = 10
_MOST = 20
_CANDIDATES = 400
"""Users with the least in common that are kept until it is known who of them is forgotten."""
_USERS_AT_ONCE = 2**15


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


def overlap(before: Listed, after: Listed, cut: int) -> Overlap:
    """Returns what became of the lists, of which at most `cut` places are compared."""
    old, new = before.lists, after.lists
    both = _both(old.users, new.users)
    renamed = _renamed(old.ids, new.ids)
    pieces = [(both[0][begin:end], both[1][begin:end]) for begin, end in ranges(len(both[0]), _USERS_AT_ONCE)]
    tenths, same, total = np.zeros(TENTHS, np.int64), 0, 0.0
    worst: list[tuple[float, int, Changed]] = []
    for part in side_by_side(lambda rows: _compared(old, new, rows, cut, renamed), pieces):
        same += int(part.same.sum())
        total += float(part.share.sum())
        tenths += np.bincount(np.minimum((part.share * TENTHS).astype(int), TENTHS - 1), minlength=TENTHS)
        worst = heapq.nsmallest(_CANDIDATES, [*worst, *_worst(part, new)], key=lambda one: one[:2])
    seen = len(both[0])
    return Overlap(
        users=seen,
        only_before=len(before) - seen,
        only_after=len(after) - seen,
        same=same,
        mean=total / seen if seen else None,
        tenths=tuple(int(count) for count in tenths),
        changed=tuple(one[2] for one in worst),
    )


def _both(old: IdMap, new: IdMap) -> tuple[Ints, Ints]:
    """Returns the rows of the users in both runs, in the one and in the other."""
    if not len(old) or not len(new):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(new.values, old.values), len(new) - 1)
    known = np.flatnonzero(new.values[places] == old.values)
    return known, places[known]


def _renamed(old: IdMap, new: IdMap) -> NDArray[np.int32] | None:
    """Returns the newer run's row of each source of the older one, or one beyond all; None: they are the same."""
    if np.array_equal(old.values, new.values):
        return None
    rows = new.rows(old.to_arrow())
    return np.where(rows >= 0, rows, len(new) + np.arange(len(rows), dtype=np.int32)).astype(np.int32)


@dataclass(frozen=True, eq=False)
class _Part:
    """Some users who are in both runs, and what their two lists have in common."""

    users: Ints
    kept: Ints
    before: Ints
    after: Ints
    same: NDArray[np.bool_]

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """Sources in both ÷ the longer list; two empty lists have all in common."""
        longer = np.maximum(self.before, self.after)
        return np.where(longer > 0, self.kept / np.maximum(longer, 1), 1.0)


def _compared(
    old: Grouped, new: Grouped, rows: tuple[Ints, Ints], cut: int, renamed: NDArray[np.int32] | None
) -> _Part:
    old_rows, new_rows = rows
    before = np.minimum(old.starts[old_rows + 1] - old.starts[old_rows], cut)
    after = np.minimum(new.starts[new_rows + 1] - new.starts[new_rows], cut)
    width = int(max(before.max(initial=0), after.max(initial=0)))
    beyond = len(old.ids) + len(new.ids)
    left = _square(old, old_rows, before, width, beyond, renamed)
    right = _square(new, new_rows, after, width, beyond + width)
    same = (before == after) & ((left == right) | (np.arange(width) >= before[:, None])).all(axis=1)
    joined = np.concatenate([left, right], axis=1)
    joined.sort(axis=1)
    kept = (joined[:, 1:] == joined[:, :-1]).sum(axis=1)
    return _Part(new_rows, kept, before, after, same)


def _square(
    lists: Grouped, rows: Ints, lengths: Ints, width: int, beyond: int, renamed: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Returns lists as rows of the same width; what is short, or unknown, is filled up with numbers beyond all."""
    places = np.arange(width)
    at = lists.starts[rows][:, None] + places
    np.minimum(at, max(len(lists.sources) - 1, 0), out=at)
    made = lists.sources[at] if len(lists.sources) else np.full(at.shape, -1, np.int32)
    known = (places < lengths[:, None]) & (made >= 0)
    if renamed is not None and len(renamed):
        made = renamed[made]
    return np.where(known, made, (beyond + places).astype(np.int32))


def _worst(part: _Part, lists: Grouped) -> Iterator[tuple[float, int, Changed]]:
    """Yields those of some users who may be among the ones with the least in common."""
    share = part.share
    count = min(_CANDIDATES, len(share))
    limit = np.partition(share, count - 1)[count - 1]
    some = np.flatnonzero(share <= limit)
    some = some[np.argsort(share[some], kind="stable")][:_CANDIDATES]
    for at, user in zip(some.tolist(), names_of(lists.users, part.users[some]), strict=True):
        changed = Changed(user, int(part.kept[at]), int(part.before[at]), int(part.after[at]))
        yield (float(share[at]), int(part.users[at]), changed)


def moved_sources(before: Listed, after: Listed, most: int = _MOST) -> tuple[list[Moved], list[Moved]]:
    """Returns the sources that rose the most and those that fell the most, by the number of lists."""
    sources = IdMap(merge_keys([before.lists.ids.values, after.lists.ids.values]))
    old, new = (_in_order_of(sources, one) for one in (before, after))
    change = new - old

    def moved(order: Ints) -> list[Moved]:
        counts = zip(names_of(sources, order), old[order].tolist(), new[order].tolist(), strict=True)
        return [Moved(*one) for one in counts if one[1] != one[2]]

    rose, fell = np.argsort(-change, kind="stable")[:most], np.argsort(change, kind="stable")[:most]
    return moved(rose[change[rose] > 0]), moved(fell[change[fell] < 0])


def _in_order_of(sources: IdMap, listed: Listed) -> Ints:
    counts = np.zeros(len(sources), np.int64)
    counts[np.searchsorted(sources.values, listed.lists.ids.values)] = listed.totals
    return counts


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
    profiles = (report.profile for report in gate_reports(run, map(report_file, DRIFT_GATES)))
    return [one for profile in profiles if isinstance(profile, DriftProfile) for one in profile.findings]


def gate_reports(run: KeptRun, files: Iterable[str]) -> list[GateReport]:
    """Returns those of the reports of gates that the run has."""
    return [GateReport.from_json(run.folder.read_bytes(file).decode()) for file in files if run.folder.exists(file)]


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


def compare(archive: Archive, before: KeptRun, after: KeptRun, listed: ListCache) -> Comparison:
    """Returns what differs between two runs; raises ChangedSince."""
    both = all(run.folder.finished("lists") for run in (before, after))
    found, rose, fell = None, list[Moved](), list[Moved]()
    if both:
        old, new = (listed.get(archive, run) for run in (before, after))
        found = overlap(old, new, max(_list_size(before), _list_size(after)))
        rose, fell = moved_sources(old, new)
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
