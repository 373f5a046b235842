"""Measures the days of a plan in one pass: two scans of events and answers, one to check and one to count."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from conf.datasets import IMPRESSIONS, DailyDataset
from conf.environment import Environment
from conf.load import load_settings
from conf.settings import Settings
from conf.shadow import SHADOW
from conf.windows import Window, midnight
from features.reading.catalog import Catalog
from features.reading.dataset import DatasetPlan
from features.reading.erasures import without_users
from features.reading.event_rows import read_events
from features.reading.impression_rows import read_impressions
from features.reading.snapshots import SnapshotRead, check_snapshot, plan_snapshot, read_snapshots, usable
from features.tables import union_of
from jobs.exposures.store import LandingStore
from jobs.outcomes.listed import Listed, listed_answers, listings_of
from jobs.outcomes.plan import EXPOSURES, Listing, Plan, engaging, plan_days, spans
from jobs.outcomes.shadow import FoundShadows, find_shadows
from jobs.outcomes.store import LeftOut, OutcomeStore, Record, ServedThen, sorted_table
from jobs.run.session import open_session
from jobs.runtime.log import log, log_step
from jobs.storage.datasets import open_catalog
from jobs.storage.erased import Erased
from jobs.storage.folders import check_folders, folders_of
from jobs.storage.store import Storage
from models.outcomes.basis import Basis
from models.outcomes.buckets import buckets_for
from models.outcomes.marginals import outcomes_of
from models.outcomes.rows import Served, answers_of, answers_shown, events_of
from models.outcomes.shadow import ShadowLists, lengths_of, shadow_answers, without_worlds, world_of
from models.outcomes.sums import LEFT_OUT, SWAP
from publish.runs.history import kept_history
from publish.wire.keys import ProductKeys

_OF_EXPOSURES = ("user_id", "ts", "surface", "arm", "run", "source_ids")


@dataclass(frozen=True)
class Measuring:
    """One product whose outcomes are measured up to a day; Spark starts when the first row is read."""

    settings: Settings
    environment: Environment
    last: dt.date

    @classmethod
    def open(cls, config: Path, overlays: Sequence[Path], last: dt.date) -> "Measuring":
        """Reads the settings and checks the folders. Raises ConfigError, UnreadableFolder."""
        settings = load_settings(config, overlays)
        opened = cls(settings, Environment.read(), last)
        check_folders(opened.home, settings)
        return opened

    @cached_property
    def home(self) -> Storage:
        """The work folder."""
        return Storage(self.environment.home)

    @cached_property
    def store(self) -> OutcomeStore:
        """Where measured days are kept."""
        return OutcomeStore.of(self.home, self.settings.product)

    @cached_property
    def spark(self) -> SparkSession:
        """The session, opened now."""
        name = f"{self.settings.product} outcomes {self.last}"
        return open_session(name, self.settings.spark, folders_of(self.home, self.settings).values())

    @cached_property
    def catalog(self) -> Catalog:
        """The product's datasets, without forgotten users."""
        erased = Erased.read(self.environment.need_kafka(), self.settings.product, self.settings.ids)
        return open_catalog(self.settings, self.home, lambda: self.spark, erased=erased.users)

    @cached_property
    def exposures(self) -> DailyDataset:
        """Landed exposures as a dataset; a day without answers has no folder."""
        landed = LandingStore.of(self.home, self.settings.product)
        return DailyDataset(path=landed.at.uri, on_missing="shrink")

    def plan(self) -> Plan:
        """Returns which days are measured; raises what `plan_days` raises."""
        landed_at = LandingStore.of(self.home, self.settings.product).state().landed_at
        known = self.store.records()
        return plan_days(self.settings, self.last, self.catalog, self.exposures, landed_at, known, self._listings)

    def _listings(self) -> list[Listing]:
        """Returns which runs the treatment got, for where their lists are all that is known."""
        served = [served_by(row) for row in self.history()]
        return listings_of(self.home, self.settings.product, served)

    def make(self, plan: Plan) -> list[Record]:
        """Measures the days of a plan and keeps each as a whole; raises FeaturesError before any is kept."""
        return self._make(plan) if plan.days else []

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Ends the session after the block, if it was opened in it."""
        is_ours = SparkSession.getActiveSession() is None
        try:
            yield
        finally:
            if is_ours and "spark" in self.__dict__:  # opened by now
                self.spark.stop()

    def _make(self, plan: Plan) -> list[Record]:
        read, history = spans(plan, self.settings), self.history()
        end = next(iter(read.values())).window.end
        starts = [read[name].window.start for name in (EXPOSURES, IMPRESSIONS) if name in read]
        window = Window(min([plan.days[0].day, *starts]), end)
        served = [served_by(row) for row in during(history, window.start, window.end)]
        shadows = self._shadows(served)
        answers = {str(basis): some for basis, some in self.answers(read, served).items()}
        answers |= self._shadow_answers(read, served, shadows.lists)
        listed = self._listed(served, window, shadows) if plan.listed else Listed({}, 0)
        rows = self._rows(plan, {**answers, **listed.answers}, read, listed.rows) if answers or listed.answers else []
        by_day: dict[dt.date, list[dict[str, Any]]] = {day.day: [] for day in plan.days}
        for row in rows:
            by_day[row["day"]].append(row)
        return [self._keep(plan, i, by_day[day.day], history, shadows) for i, day in enumerate(plan.days)]

    def _rows(
        self, plan: Plan, answers: Mapping[str, DataFrame], read: Mapping[str, DatasetPlan], listed: int
    ) -> list[dict[str, Any]]:
        """Returns the sums: as many as there are arms, names and categories, whatever the number of users."""
        measured = outcomes_of(
            union_of(list(answers.values())),
            self.events(read),
            sorted(answers),
            [day.day for day in plan.days],
            self.settings.outcomes,
            self.categories(),
            buckets=self.buckets(read, listed),
        )
        return without_worlds(measured.toArrow().to_pylist())

    def _listed(self, served: Sequence[Served], window: Window, shadows: FoundShadows) -> Listed:
        product, erased = self.settings.product, self.catalog.erased
        return listed_answers(self.spark, self.home, product, served, window, shadows.lists, erased)

    def buckets(self, read: Mapping[str, DatasetPlan], listed: int = 0) -> int:
        """Returns into how many parts the users of a reading are divided; listed: lists that count as given."""
        rows = {name: sum(partition.rows for partition in plan.found) for name, plan in read.items()}
        answers = rows.pop(EXPOSURES, 0) + rows.pop(IMPRESSIONS, 0)
        return buckets_for(sum(rows.values()), answers + listed)

    def _keep(
        self,
        plan: Plan,
        place: int,
        rows: Sequence[dict[str, Any]],
        history: Sequence[Mapping[str, Any]],
        shadows: FoundShadows,
    ) -> Record:
        day = plan.days[place]
        then = _then(history, day.day)
        figures = [row for row in rows if row["by"] not in (LEFT_OUT, SWAP)]
        if not day.new_is_known:
            figures = [{**row, "new": None, "new_listed": None} for row in figures]
        table = sorted_table(figures)
        record = Record(
            day=day.day,
            file="",
            sha256="",
            rows=table.num_rows,
            through=day.through,
            mature=day.mature,
            inputs=day.inputs,
            settings_hash=plan.settings_hash,
            bases=_answers_by_basis(figures),
            new_is_known=day.new_is_known,
            robots={str(row["basis"]): _left_out(row) for row in rows if row["by"] == LEFT_OUT},
            served=tuple(ServedThen.model_validate(row) for row in then),
            shadow=shadows.known_of({row["treatment"] for row in then}),
            at=self.settings.outcomes.at,
            swaps=_swaps(rows),
        )
        return self.store.write(record, table)

    def history(self) -> list[dict[str, Any]]:
        """Returns the changes of the pointer that Kafka keeps."""
        return kept_history(self.environment.need_kafka(), ProductKeys(self.settings.product)).rows()

    def events(self, read: Mapping[str, DatasetPlan]) -> DataFrame:
        """Returns the events of a reading; the rows are counted first."""
        datasets, names = self.settings.datasets.events, self.settings.interactions.event_weights
        events = read_events(datasets, read, names, self.settings.ids, self.catalog)
        unknown = sum(day.unknown for day in events.days)
        if unknown:
            log.warning("warning   %s events have a name without a weight, and are not counted", f"{unknown:,}")
        return events_of(events.frame, engaging(self.settings))

    def _shadows(self, served: Sequence[Served]) -> FoundShadows:
        runs = {one.treatment for one in served if one.treatment is not None and one.share_bp}
        return find_shadows(self.spark, self.home, self.settings, runs, self.catalog.erased)

    def _shadow_answers(
        self, read: Mapping[str, DatasetPlan], served: Sequence[Served], shadows: Mapping[str, ShadowLists]
    ) -> dict[str, DataFrame]:
        """Returns answers with shadow lists, as a basis of their own, if there are any."""
        if not shadows or EXPOSURES not in read or not read[EXPOSURES].found:
            return {}
        exposures = self._exposures(read)
        return {world_of(Basis.ANSWERED): shadow_answers(exposures, served, shadows, lengths_of(exposures))}

    def _exposures(self, read: Mapping[str, DatasetPlan]) -> DataFrame:
        raw = self.catalog.read(self.exposures, read[EXPOSURES].found, _OF_EXPOSURES)
        return without_users(raw, self.catalog.erased)

    def answers(self, read: Mapping[str, DatasetPlan], served: Sequence[Served]) -> dict[Basis, DataFrame]:
        """Returns what was answered, what was shown, or both, as far as there is any of it."""
        found: dict[Basis, DataFrame] = {}
        if EXPOSURES in read and read[EXPOSURES].found:
            found[Basis.ANSWERED] = answers_of(self._exposures(read))
        shown = self.settings.datasets.impressions
        if shown is not None and read[IMPRESSIONS].found:
            span: Window = read[IMPRESSIONS].window
            patient = shown.model_copy(update={"on_missing": "shrink", "max_missing_days": len(span.days)})
            impressions = read_impressions(patient, span, self.settings.ids, self.catalog)
            found[Basis.SHOWN] = answers_shown(impressions.frame, served)
        return found

    def categories(self) -> DataFrame | None:
        """Returns the category of each source in the newest snapshot up to `last`; None if there is none."""
        dataset = self.settings.datasets.sources
        if dataset is None:
            return None
        plan = plan_snapshot("sources", dataset, self.last, self.catalog)
        if not usable(plan):
            log.warning("warning   there is no snapshot of sources for %s; there are no figures by category", self.last)
            return None
        read = SnapshotRead(check_snapshot(plan, dataset, self.settings.ids), dataset, self.last)
        frame = read_snapshots([read], self.settings.ids, self.catalog)[0].frame
        return frame.select("source_id", "category") if "category" in frame.columns else None


def tell(plan: Plan, records: Sequence[Record]) -> None:
    """Logs what was measured, and what was not."""
    for day, why in plan.refused.items():
        log.warning("warning   %s was not measured: %s", day, why)
    for record in records:
        counts = ", ".join(f"{count:,} {Basis(basis).per}" for basis, count in record.bases.items()) or "no answers"
        state = "mature" if record.mature else f"events up to {record.through}"
        robots = sum(left.users for left in record.robots.values())
        log_step("outcomes", f"{record.day}: {counts}, {state}{f', {robots:,} robots left out' if robots else ''}")
    if not plan.days:
        log_step("outcomes", f"up to date until {plan.last}: no day has matured or changed")


def served_by(row: Mapping[str, Any]) -> Served:
    """Returns a row of the pointer's history."""
    return Served(**{name: row[name] for name in Served.__dataclass_fields__})


def _then(history: Sequence[Mapping[str, Any]], day: dt.date) -> list[dict[str, Any]]:
    held = during(history, day, day + dt.timedelta(days=1))
    return [{name: row[name] for name in ServedThen.model_fields} for row in held]


def during(history: Sequence[Mapping[str, Any]], first: dt.date, end: dt.date) -> list[Mapping[str, Any]]:
    """Returns the changes that held at some time from the first day to before the last one."""
    start, stop = midnight(first), midnight(end)
    return [row for row in history if row["since"] < stop and (row["until"] is None or row["until"] > start)]


def _answers_by_basis(figures: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in figures:
        if row["by"] == "all" and row["arm"] != SHADOW:  # those were answers of the control
            found[str(row["basis"])] = found.get(str(row["basis"]), 0) + row["answers"]
    return dict(sorted(found.items()))


def _swaps(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in sorted((row for row in rows if row["by"] == SWAP), key=lambda row: (row["basis"], row["value"])):
        found.setdefault(str(row["basis"]), {})[row["value"]] = row["hits"]
    return found


def _left_out(row: Mapping[str, Any]) -> LeftOut:
    return LeftOut.model_validate({name: row[name] for name in LeftOut.model_fields})
