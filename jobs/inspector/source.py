"""One source: who gets it and where, what these users have in common, what it is near to, why it is not eligible."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from conf.ids import UserId
from conf.share import EVERYBODY, Share
from jobs.inspector.archive import Archive
from jobs.inspector.grouped import names_of, ranges
from jobs.inspector.installation import NotHere, Product
from jobs.inspector.listed import LISTS, PAIRS, Holders, ListCache
from jobs.run.manifest import KeptRun
from jobs.storage.filesystems import open_filesystem

_NEAREST = 12
_HOLDERS = 20
_ASKED = 2_000
"""Users with the source, the best placed ones, whose interactions say why they get it."""
_REASONS = 10
_ACTIVE = "active"
_CANDIDATES = 500
"""Sources that these users engaged with most often, of which reasons are chosen."""
_ROWS = 65_536
_LEAST = 1e-12
"""Length of a vector by which one may divide."""


@dataclass(frozen=True)
class Near:
    """A source near another one: the cosine of their factors."""

    source: UserId
    cosine: float
    category: str | None


@dataclass(frozen=True)
class Reason:
    """A source that users with the looked-at one have engaged with, and how much more often than others."""

    source: UserId
    users: int
    share: float
    """Of the users who were asked."""
    usual: float
    """Share of all users with interactions."""

    @property
    def times(self) -> float | None:
        """How many times as often as usual."""
        return self.share / self.usual if self.usual else None


@dataclass(frozen=True)
class Week:
    """How many lists of a run hold the source."""

    run: str
    as_of: dt.date
    arm: str
    lists: int | None
    """None: not counted yet."""
    by_band: Sequence[int]


@dataclass(frozen=True)
class SourceFacts:
    """What a run knows of a source."""

    eligible: bool
    category: str | None
    owner: UserId | None
    users: int
    weight: float


@dataclass(frozen=True)
class SourceView:
    """All that the page of a source says."""

    source: UserId
    run: KeptRun
    facts: SourceFacts | None
    """None: the run does not know it."""
    has_factors: bool
    why_not: Sequence[str]
    """Why it can be in no list; empty: it can be."""
    holders: Holders | None
    """None: the run has no lists."""
    lists: int
    near: Sequence[Near]
    reasons: Sequence[Reason]
    asked: int
    weeks: Sequence[Week]

    def shown_holders(self, forgotten: Collection[UserId]) -> list[tuple[UserId, int]]:
        """Returns the best placed users with it and its place, without the forgotten ones."""
        return [pair for pair in self._best if pair[0] not in forgotten][:_HOLDERS]

    @property
    def candidates(self) -> list[UserId]:
        """The users who may be shown: more than are, since some may be forgotten."""
        return [user for user, _ in self._best]

    @cached_property
    def _best(self) -> list[tuple[UserId, int]]:
        return [] if self.holders is None else self.holders.first(10 * _HOLDERS)


def look_at(product: Product, run: KeptRun, source: UserId, listed: ListCache, now: Sequence[KeptRun]) -> SourceView:
    """Returns what there is to say of a source in a run, and in `now`, runs that have lists; raises NotHere."""
    facts = _facts(run, source)
    near, has_factors = _nearest(product.archive, run, source)
    if facts is None and not has_factors:
        raise NotHere(
            f"run {run.manifest.request.run_id} of {product.name} does not know a source {source!s:.300}: it is in no "
            "dataset that the run read, so it could be in no list"
        )
    lists = listed.get(product.archive, run) if run.folder.finished(LISTS) else None
    holders = None if lists is None else lists.holders(source)
    reasons, asked = _reasons(product.archive, run, source, holders, listed)
    return SourceView(
        source,
        run,
        facts,
        has_factors,
        _why_not(product, run, source, facts, has_factors=has_factors),
        holders,
        0 if lists is None else len(lists),
        near,
        reasons,
        asked,
        [_week(product.archive, one, source, listed) for one in now],
    )


def arm_of_run(run: KeptRun) -> str:
    """Returns what a run's lists are for: treatment or control, and of which part of the users."""
    part, share = run.manifest.experiment, run.manifest.request.share_bp
    if part is not None:
        return f"{part.role} of {part.experiment}"
    return "everybody" if share == EVERYBODY else f"treatment, {Share(int(share))}"


def _week(archive: Archive, run: KeptRun, source: UserId, listed: ListCache) -> Week:
    request, found = run.manifest.request, listed.find(archive, run)
    by_band = [] if found is None else found.of(source)
    return Week(request.run_id, request.as_of, arm_of_run(run), None if found is None else sum(by_band), by_band)


def _facts(run: KeptRun, source: UserId) -> SourceFacts | None:
    if not run.folder.finished("sources"):
        return None
    rows = _rows_of(run, "sources", "source_id", [source]).to_pylist()
    if not rows:
        return None
    row = rows[0]
    return SourceFacts(bool(row["eligible"]), row["category"], row["owner_id"], row["users"], row["weight"])


def _rows_of(run: KeptRun, table: str, column: str, values: Collection[Any]) -> pa.Table:
    import pyarrow.dataset as ds  # here: it imports pandas, which takes a second

    dataset = run.folder.table(table)
    return dataset.to_table(filter=ds.field(column).isin(pa.array(list(values), dataset.schema.field(column).type)))


def _nearest(archive: Archive, run: KeptRun, source: UserId) -> tuple[list[Near], bool]:
    """Returns the sources with the most similar factors, and whether the source has any."""
    if not run.folder.finished("source_factors"):
        return [], False
    sources = archive.open(run.manifest.request.run_id).sources
    own = sources.row(source)
    if own < 0:
        return [], False
    cosines = np.empty(len(sources.ids), np.float32)
    unit = sources.factors[own] / max(float(np.linalg.norm(sources.factors[own])), _LEAST)
    for begin, end in ranges(len(cosines), _ROWS):
        block = sources.factors[begin:end]
        cosines[begin:end] = block @ unit / np.maximum(np.sqrt(np.einsum("ij,ij->i", block, block)), _LEAST)
    cosines[own] = -np.inf
    most = min(_NEAREST, len(cosines) - 1)
    best = np.argpartition(-cosines, most - 1)[:most] if most else np.zeros(0, np.int64)
    best = best[np.argsort(-cosines[best], kind="stable")]
    names = sources.names(best)
    categories = sources.categories(names)
    pairs = zip(names, cosines[best].tolist(), strict=True)
    return [Near(other, min(cosine, 1.0), categories.get(other)) for other, cosine in pairs], True


def _reasons(
    archive: Archive, run: KeptRun, source: UserId, holders: Holders | None, listed: ListCache
) -> tuple[list[Reason], int]:
    """Returns what the users who get it have engaged with more than others, and how many of them were asked."""
    everybody = run.manifest.stages["train"].facts.get("training", {}).get("users") if _is_trained(run) else None
    if holders is None or not len(holders) or not everybody or not run.folder.finished(PAIRS):
        return [], 0
    pairs = listed.pairs(archive, run)
    asked = holders.rows[:_ASKED]
    users = pairs.users.rows(holders.among.to_arrow(asked.astype(np.int32)))
    sources, counts = np.unique(pairs.of(users[users >= 0].astype(np.int64)), return_counts=True)
    often = np.flatnonzero((counts >= max(2, len(asked) // 50)) & (sources >= 0))
    often = often[np.argsort(-counts[often], kind="stable")][:_CANDIDATES]
    names = names_of(pairs.ids, sources[often])
    known = {row["source_id"]: row["users"] for row in _popularity(run, names).to_pylist()}
    found = [
        Reason(name, count, count / len(asked), known.get(name, 0) / everybody)
        for name, count in zip(names, counts[often].tolist(), strict=True)
        if name != source
    ]
    lifted = [one for one in found if (one.times or 0) > 1]
    return sorted(lifted, key=lambda one: -(one.share - one.usual))[:_REASONS], len(asked)


def _is_trained(run: KeptRun) -> bool:
    return "train" in run.manifest.stages


def _popularity(run: KeptRun, sources: Collection[UserId]) -> pa.Table:
    return _rows_of(run, "sources", "source_id", sources).select(["source_id", "users"])


def _why_not(
    product: Product, run: KeptRun, source: UserId, facts: SourceFacts | None, *, has_factors: bool
) -> list[str]:
    """Returns why no list can hold it; empty if one can."""
    if facts is not None and facts.eligible and has_factors:
        return []
    reasons = [] if facts is not None and facts.eligible else _catalogue_says(product, run, source)
    if not has_factors and (facts is None or not facts.users):
        reasons.append("nobody engaged with it in the windows that were trained on, so it has no factors")
    elif not has_factors:
        reasons.append("it has no factors: nothing was trained, or its interactions came after the training")
    return reasons


def _catalogue_says(product: Product, run: KeptRun, source: UserId) -> list[str]:
    """Returns what the dataset of sources said of it on the day that the run read."""
    dataset = run.manifest.settings.get("datasets", {}).get("sources")
    day = _catalogue_day(run)
    if dataset is None or day is None:
        return ["it is not eligible"]
    columns = dataset.get("columns", {})
    row = _catalogue_row(product, run, f"{dataset['path']}/dt={day}", columns, source)
    if row is None:
        return [f"the catalogue of {day} is gone, or does not have it; a source that is missing is not eligible"]
    found = []
    if "status" in row and row["status"] != _ACTIVE:
        found.append(f"its status in the catalogue of {day} is {row['status']!r}, not {_ACTIVE!r}")
    created = row.get("created_at")
    if "created_at" in row and (created is None or _day(created) >= run.manifest.request.as_of):
        found.append(f"it was created on {created}, not before {run.manifest.request.as_of}")
    return found or ["it is not eligible"]


def _catalogue_day(run: KeptRun) -> str | None:
    stage = run.manifest.stages.get("features")
    inputs = () if stage is None else stage.facts.get("inputs", ())
    days = next((one.get("days", ()) for one in inputs if one.get("name") == "sources"), ())
    return max((day["day"] for day in days), default=None)


def _catalogue_row(
    product: Product, run: KeptRun, path: str, columns: dict[str, str], source: UserId
) -> dict[str, Any] | None:
    import pyarrow.dataset as ds  # here: it imports pandas, which takes a second
    from pyarrow import fs

    folder = product.home.child(str(run.manifest.settings.get("data_root", "data"))).child(path)
    files = [info.path for info in folder.files() if info.type == fs.FileType.File and info.path.endswith(".parquet")]
    if not files:
        return None
    table = ds.dataset(files, format="parquet", filesystem=open_filesystem(folder.location))
    names = {ours: columns.get(ours, ours) for ours in ("source_id", "status", "created_at")}
    there = {ours: theirs for ours, theirs in names.items() if theirs in table.schema.names}
    key = ds.field(there["source_id"])
    value = pa.scalar(source).cast(table.schema.field(there["source_id"]).type)
    rows = table.to_table(columns=[*there.values()], filter=key == value).to_pylist()
    return {ours: rows[0][theirs] for ours, theirs in there.items()} if rows else None


def _day(moment: dt.date | dt.datetime) -> dt.date:
    return moment.date() if isinstance(moment, dt.datetime) else moment
