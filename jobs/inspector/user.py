"""What a run knows of a user: `explain_user`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from conf.environment import Environment
from conf.ids import UserId, arm_of
from conf.settings import Settings
from jobs.inspector.archive import Archive, OpenRun
from jobs.inspector.because import Because, Events, Origin, because_of, events_of, origin_of
from jobs.inspector.explanation import (
    Absent,
    Before,
    Kind,
    Listed,
    Row,
    Score,
    SourceAnswer,
    UserExplanation,
    Without,
)
from jobs.inspector.forgotten import Forgotten
from jobs.inspector.looks import Looks
from jobs.inspector.stored import Serving, registered, serving_now, stored_now
from jobs.run.manifest import NoRun
from jobs.run.run_id import RunId
from jobs.storage.bound_folder import ChangedSince
from jobs.storage.errors import StorageError
from jobs.storage.store import Storage
from models.arrays.arrow import factor_matrix
from models.arrays.ids import id_type
from models.explain.absent import Limits, Walk, walk
from models.explain.rules import EXCLUDED, Rule
from models.explain.scores import Factors, UserScores
from models.lists.fallback import Fallback
from publish.clock import Clock, utc_now
from publish.connect.redis_clients import StoreClient

MOST_ABSENT = 100
"""Better sources that are not in the list, and are named."""
MOST_WITHOUT = 50
"""Listed sources of which is said what their places rest on."""
_RIVALS = 500
"""Sources among which these places are counted."""
_LISTS, _SHADOW = "lists", "shadow"


@dataclass(frozen=True, eq=False)
class Inspection:
    """What looking at users of one product needs; safe to share between threads."""

    product: str
    archive: Archive
    forgotten: Forgotten
    looks: Looks
    client: StoreClient | None
    """None: Redis is not asked."""
    clock: Clock = utc_now

    @classmethod
    def of(
        cls, settings: Settings, environment: Environment, client: StoreClient | None, *, copies: bool = False
    ) -> "Inspection":
        """Connects it; `copies`: see `Archive`. Raises ConfigError where Kafka's address is not known."""
        home = Storage(environment.home)
        forgotten = Forgotten.of(environment.need_kafka(), settings.product, settings.ids)
        archive = Archive(home, settings.product, copies=copies)
        return cls(settings.product, archive, forgotten, Looks(home, settings.product), client)


def explain_user(
    inspection: Inspection, user: UserId, *, who: str, run: str | None = None, source: UserId | None = None
) -> UserExplanation:
    """Returns what is said of a user in a run, by default the one that serves them, else the newest.

    who: the person who looks, which is noted first. source: one more source that is asked about. Of a forgotten user
    nothing is said. Raises NoRun, ChangedSince, BrokerUnreachable.
    """
    if run is not None:
        RunId.parse(run)
    if inspection.forgotten.has(user):
        inspection.looks.note(user, run, who, forgotten=True)
        return _nothing(inspection.product, user, run)
    now = None if inspection.client is None else serving_now(inspection.client, inspection.product, user)
    name = run or (now.run if now is not None and now.run is not None else inspection.archive.newest())
    inspection.looks.note(user, name, who)
    opened = inspection.archive.open(name)
    if not opened.has(_LISTS):
        raise NoRun(f"run {name} of {inspection.product} has no lists yet; wait for its stage topn, or give another")
    return _Look(inspection, opened, user).explanation(now, source)


def _nothing(product: str, user: UserId, run: str | None) -> UserExplanation:
    return UserExplanation(
        product=product,
        user=user,
        run=run,
        as_of=None if run is None else RunId.parse(run).as_of,
        announced=None,
        age_seconds=None,
        state="forgotten",
        kind="none",
        in_share=False,
        arm="",
        basis=None,
        events=(),
        missing_days=(),
        pairs=(),
        excluded={},
        row=None,
        listed=(),
        absent=(),
        absent_by_rule={},
        rebuilt=None,
        stored=None,
        before=None,
        source=None,
    )


def row_of(run: OpenRun, user: UserId) -> tuple[Kind, Row | None]:
    """Returns the list that a run has for a user, and what kind of one it is."""
    for table in (_LISTS, _SHADOW):
        if table == _SHADOW and not run.has(_SHADOW):
            continue
        found = run.rows(table, user, ["source_ids", "scores", "personal"]).to_pylist()
        if found:
            row = Row(tuple(found[0]["source_ids"]), tuple(found[0]["scores"]))
            if table == _SHADOW:
                return "shadow", row
            return ("personal" if found[0]["personal"] else "popular"), row
    if not _in_share(run, user):
        return "none", None
    return "fallback", _as_row(_fallback(run)[: run.settings["lists"]["n"]])


def _said(run: OpenRun, kind: Kind) -> Kind:
    """Returns what a list is called: a control of popular sources makes everybody's list as if it were their own."""
    made_by = run.fact("train", "training", {}).get("algorithm")
    return "popular" if kind == "personal" and made_by == "popular" else kind


def _as_row(pairs: Sequence[tuple[UserId, float]]) -> Row:
    return Row(tuple(source for source, _ in pairs), tuple(score for _, score in pairs))


def _in_share(run: OpenRun, user: UserId) -> bool:
    return _arm(run, user) < int(run.kept.manifest.request.share_bp)


def _arm(run: OpenRun, user: UserId) -> int:
    return arm_of(user, run.settings["rollout"]["salt"])


def _fallback(run: OpenRun) -> list[tuple[UserId, float]]:
    """Returns the fallback list, as (source, score)."""
    found = Fallback.of_json(run.kept.folder.read_bytes("fallback.json"), run.ids)
    sources: Any = found.source_ids.to_pylist()
    return list(zip(sources, found.scores.tolist(), strict=True))


class _Look:
    """One look at one user in one run."""

    def __init__(self, inspection: Inspection, run: OpenRun, user: UserId) -> None:
        self._inspection, self._run, self._user = inspection, run, user
        self._kind, self._row = row_of(run, user)

    def explanation(self, now: Serving | None, source: UserId | None) -> UserExplanation:
        manifest, client = self._run.kept.manifest, self._inspection.client
        known = None if client is None else registered(client, self._inspection.product, self._run.name)
        announced = None if known is None else known.announcement.created_at
        stored = None
        if client is not None and now is not None:
            held = None if self._kind in ("fallback", "shadow") else self._row
            stored = stored_now(client, known, self._user, now, held)
        part = manifest.experiment
        share = manifest.request.share_bp
        if part is not None and part.treatment_share_bp is not None:  # of a control, which covers everybody
            share = part.treatment_share_bp
        return UserExplanation(
            product=self._inspection.product,
            user=self._user,
            run=self._run.name,
            as_of=manifest.request.as_of,
            announced=announced,
            age_seconds=None if announced is None else (self._inspection.clock() - announced).total_seconds(),
            state="known" if self._is_known else "unknown",
            kind=_said(self._run, self._kind),
            in_share=_in_share(self._run, self._user),
            arm="treatment" if _arm(self._run, self._user) < int(share) else "control",
            basis=None if self._factors is None else self._origin.basis,
            events=self._events.counts,
            missing_days=self._events.missing,
            pairs=self._because.pairs,
            excluded=dict(Counter(str(rule) for rule in self._excluded.values())),
            row=self._row,
            listed=self._listed,
            absent=self._absent,
            absent_by_rule={} if self._walk is None else {str(rule): n for rule, n in self._walk.by_rule.items()},
            rebuilt=self._rebuilt,
            stored=stored,
            before=self._before,
            source=None if source is None else self._about(source),
        )

    @property
    def _is_known(self) -> bool:
        has_row = self._kind in ("personal", "popular", "shadow")
        return has_row or self._factors is not None or bool(self._excluded) or bool(self._because.pairs)

    @cached_property
    def _factors(self) -> Factors | None:
        """The user's vector; None: they have none, or one of zeros, which says nothing."""
        found = self._run.rows("user_factors", self._user, ["factors"])["factors"].combine_chunks()
        if not len(found):
            return None
        vector = factor_matrix(found, len(found[0]))[0]
        return vector if vector.any() else None

    @cached_property
    def _origin(self) -> Origin:
        return origin_of(self._inspection.archive, self._run, self._user)

    @cached_property
    def _events(self) -> Events:
        return events_of(self._inspection.archive, self._origin, self._user)

    @cached_property
    def _because(self) -> Because:
        return because_of(self._run, self._origin, self._user, self._events)

    @cached_property
    def _excluded(self) -> dict[UserId, Rule]:
        """Source → the first of the user's own reasons against it."""
        reasons: dict[UserId, set[str]] = {}
        for row in self._run.rows("exclusions", self._user, ["source_id", "reason"]).to_pylist():
            reasons.setdefault(row["source_id"], set()).add(row["reason"])
        return {source: next(rule for rule in EXCLUDED if rule in some) for source, some in reasons.items()}

    @cached_property
    def _scores(self) -> UserScores | None:
        sources = self._run.sources
        return None if self._factors is None else UserScores(self._factors, sources.factors, sources.longest)

    @cached_property
    def _limits(self) -> Limits:
        lists = self._run.settings["lists"]
        return Limits(lists["n"], lists.get("max_per_category"), lists.get("max_per_owner"), lists.get("min_score"))

    @cached_property
    def _walk(self) -> Walk | None:
        """The ranking down to the end of the list; None: it was not made of the user's factors."""
        if self._scores is None or self._kind not in ("personal", "shadow"):
            return None
        sources = [*self._excluded]
        rows = self._rows_of(sources)
        reasons = {row: self._excluded[source] for row, source in zip(rows, sources, strict=True) if row >= 0}
        return walk(self._scores, reasons, self._run.sources.traits, self._limits)

    def _rows_of(self, sources: Sequence[UserId]) -> list[int]:
        rows: list[int] = self._run.sources.rows(pa.array(sources, id_type(self._run.ids))).tolist()
        return rows

    @cached_property
    def _rebuilt(self) -> bool | None:
        """Whether the list made again, by this code, is that of the run."""
        if self._row is None:
            return None
        if self._walk is not None:
            rows = np.array([place.row for place in self._walk.kept], np.int64)
            same = tuple(self._run.sources.names(rows)) == self._row.source_ids
            return same and tuple(place.score for place in self._walk.kept) == self._row.scores
        if self._kind == "popular":
            return self._popular == self._row
        return None

    @cached_property
    def _fallback(self) -> list[tuple[UserId, float]]:
        return _fallback(self._run)

    @property
    def _popular(self) -> Row:
        kept = [pair for pair in self._fallback if pair[0] not in self._excluded][: self._limits.n]
        return _as_row(kept)

    @cached_property
    def _listed(self) -> tuple[Listed, ...]:
        if self._row is None:
            return ()
        scores = self._made_of(self._row.source_ids, self._row.scores)
        places = zip(self._row.source_ids, scores, strict=True)
        without = self._without
        return tuple(Listed(rank, source, score, without.get(source)) for rank, (source, score) in enumerate(places, 1))

    @property
    def _without(self) -> dict[UserId, Without | None]:
        """Listed source → what its place rests on, of those among the rivals."""
        if self._row is None or self._walk is None:
            return {}
        rivals, sources = self._rivals, self._row.source_ids[:MOST_WITHOUT]
        places = {row: at for at, row in enumerate(rivals.tolist())}
        listed = zip(sources, self._rows_of(sources), strict=True)
        wanted = {source: places[row] for source, row in listed if row in places}
        found = self._because.without(rivals, np.array([*wanted.values()], np.int64))
        return dict(zip(wanted, found, strict=True))

    @property
    def _rivals(self) -> np.ndarray[Any, Any]:
        """Rows of the best sources that the user's list may hold, before caps."""
        assert self._scores is not None
        about = np.where(self._run.sources.traits.eligible, self._scores.about, -np.inf)
        about[[row for row in self._rows_of([*self._excluded]) if row >= 0]] = -np.inf
        best = np.argpartition(-about, min(_RIVALS, len(about)) - 1)[:_RIVALS]
        rows: np.ndarray[Any, Any] = np.sort(best[np.isfinite(about[best])])
        return rows

    def _made_of(self, sources: Sequence[UserId], values: Sequence[float]) -> list[Score]:
        rows = np.array(self._rows_of(sources), np.int64)
        if self._walk is None or (rows < 0).any():
            return [Score(value, (), 0.0, 0, None) for value in values]
        return self._because.scores(rows, values)

    @cached_property
    def _absent(self) -> tuple[Absent, ...]:
        if self._walk is None:
            return self._absent_of_popular() if self._kind == "popular" else ()
        some = self._walk.dropped[:MOST_ABSENT]
        names = self._run.sources.names(np.array([place.row for place in some], np.int64)) if some else []
        return tuple(
            Absent(name, place.rank, place.score, place.rule, self._detail(name, place.rule, place.before))
            for name, place in zip(names, some, strict=True)
            if place.rule is not None
        )

    def _absent_of_popular(self) -> tuple[Absent, ...]:
        pairs = self._fallback
        last = self._row.source_ids[-1] if self._row is not None and self._row.source_ids else None
        end = next((at for at, (source, _) in enumerate(pairs) if source == last), len(pairs))
        return tuple(
            Absent(source, rank, score, self._excluded[source], "")
            for rank, (source, score) in enumerate(pairs[:end], 1)
            if source in self._excluded
        )[:MOST_ABSENT]

    def _detail(self, source: UserId, rule: Rule, before: int) -> str:
        known = self._run.sources.known(source) or {}
        if rule is Rule.CATEGORY_CAP:
            return f"{before} of category {known.get('category')} are in the list before it, as many as may be"
        if rule is Rule.OWNER_CAP:
            return f"{before} of owner {known.get('owner_id')} are in the list before it, as many as may be"
        return ""

    @cached_property
    def _before(self) -> Before | None:
        name = self._run.kept.manifest.serving_before
        if name is None:
            return None
        try:
            earlier = self._inspection.archive.open(name)
            kind, row = row_of(earlier, self._user)
            return Before(name, _said(earlier, kind), row, None)
        except (NoRun, ChangedSince, StorageError, FileNotFoundError) as error:
            return Before(name, "none", None, str(error))

    def _about(self, source: UserId) -> SourceAnswer:
        known, row = self._run.sources.known(source) or {}, self._run.sources.row(source)
        listed = next((one for one in self._listed if one.source == source), None)
        rank = score = None
        if row >= 0 and self._scores is not None:
            value = float(self._scores.exact(np.array([row]))[0])
            score, rank = self._because.scores(np.array([row], np.int64), [value])[0], self._scores.rank(row)
        scores = () if self._row is None else self._row.scores
        beaten_by = None if score is None else sum(one > score.value for one in scores)
        return SourceAnswer(
            source=source,
            listed=listed,
            absent=None if listed is not None or not known else self._why_absent(source, row, rank, score),
            rank=rank,
            score=score,
            beaten_by=beaten_by,
            last_listed=scores[-1] if scores else None,
            eligible=known.get("eligible"),
            category=known.get("category"),
            owner=known.get("owner_id"),
            users=known.get("users"),
        )

    def _why_absent(self, source: UserId, row: int, rank: int | None, score: Score | None) -> Absent:
        value = None if score is None else score.value
        dropped = () if self._walk is None else self._walk.dropped
        place = next((one for one in dropped if one.row == row), None)
        if place is not None and place.rule is not None:
            return Absent(source, rank, value, place.rule, self._detail(source, place.rule, place.before))
        if source in self._excluded:
            return Absent(source, rank, value, self._excluded[source], "")
        if not (self._run.sources.known(source) or {}).get("eligible"):
            return Absent(source, rank, value, Rule.INELIGIBLE, "")
        if row < 0:
            return Absent(source, rank, value, Rule.UNTRAINED, "no interactions in the windows, so no factors")
        least = self._limits.min_score
        if value is not None and least is not None and value < least:
            return Absent(source, rank, value, Rule.MIN_SCORE, f"the lowest score of a list is {least:g}")
        return Absent(source, rank, value, Rule.BEATEN, "")
