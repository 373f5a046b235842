"""Measures the weeks of experiments: rows of users per week, and from all weeks the sums per slice of the hash."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import IntegerType

from conf import contract
from conf.datasets import IMPRESSIONS
from conf.digest import digest_of_inputs, digest_of_json
from conf.errors import DiscoveryError
from conf.experiment import Experiment
from conf.ramp import RampSettings
from conf.settings import Settings
from conf.windows import Window, midnight
from features.reading.dataset import DatasetPlan
from features.reading.erasures import without_users
from features.reading.snapshots import SnapshotRead, check_snapshot, enforce_snapshot, plan_snapshot, read_snapshots
from features.tables import spark_schema, union_of
from jobs.experiments.store import ExperimentStore
from jobs.experiments.weeks import (
    WEEKS,
    CountsOfSlice,
    ShareThen,
    SumsRecord,
    WeekOfSums,
    WeekRecord,
    WeekStore,
    forget_weeks,
    notes_on,
)
from jobs.exposures.store import LandingStore
from jobs.outcomes.measure import Measuring, during, served_by
from jobs.outcomes.plan import (
    EXPOSURES,
    Plan,
    check_landed,
    enforce,
    is_whole,
    lateness,
    settings_hash_of,
    survey,
    within,
)
from jobs.runtime.log import log, log_step
from jobs.storage.erased import Erased
from models.experiment.cells import FIRST_SEEN, JOINED, ROBOTS, SliceCells, metrics_among
from models.experiment.metric import Metric
from models.experiment.moments import Slice, slices_at
from models.outcomes.basis import Basis
from models.outcomes.rows import answers_of
from models.outcomes.slices import slice_cells
from models.outcomes.weekly import Week, days_before, weekly_rows

WEEKS_BEFORE = 4
"""Weeks before the first one whose figures are the covariates."""
MOST_CATEGORIES = 50
"""Categories of which there are sums, those with the most new engagements."""
_VERSION = 1
"""Of the rules; weeks that were made by others are made again."""


def weeks_of(experiment: Experiment, last: dt.date) -> list[Week]:
    """Returns week 0 and the weeks that are over on that day, and were when the experiment was closed."""
    first, end = experiment.first_day, last + dt.timedelta(days=1)
    if experiment.closed is not None:
        end = min(end, experiment.closed.astimezone(dt.UTC).date())
    before = Week(0, first - dt.timedelta(weeks=WEEKS_BEFORE), days=7 * WEEKS_BEFORE)
    return [before, *(Week(i + 1, first + dt.timedelta(weeks=i)) for i in range(experiment.weeks_over(end)))]


def measure_weeks(measuring: Measuring) -> list[SumsRecord]:
    """Measures what is due of every experiment of the product; returns the records of sums that were made.

    Raises what reading raises, after every other experiment was measured.
    """
    experiments = ExperimentStore.of(measuring.home, measuring.settings.product)
    found, failed = list[SumsRecord](), list[DiscoveryError]()
    for experiment in experiments.read_all():
        measured = WeeksOf(measuring, experiments, experiment)
        if not experiment.is_open and not measured.store.has_users:
            continue
        try:
            found += measured.measure()
        except DiscoveryError as error:
            log.warning("warning   the weeks of experiment %s were not measured: %s", experiment.name, error)
            failed.append(error)
    if failed:
        raise failed[0]
    return found


def tell_weeks(records: Sequence[SumsRecord]) -> None:
    """Logs what was summed, and what must be known before weeks are compared."""
    for record in records:
        users = sum(sum(one.first_seen) for one in record.slices)
        text = (
            f"{record.experiment}: sums up to week {record.week}, {len(record.metrics)} metrics, {users:,} users seen"
        )
        log_step("weeks", text)
        for note in notes_on(record):
            log_step("weeks", f"{record.experiment}, {note}")


@dataclass(frozen=True)
class WeeksOf:
    """The weeks of one experiment, up to a day."""

    measuring: Measuring
    experiments: ExperimentStore
    experiment: Experiment

    @property
    def store(self) -> WeekStore:
        """Where its weeks and sums are kept."""
        return WeekStore.of(self.experiments, self.experiment.name)

    @cached_property
    def weeks(self) -> list[Week]:
        """Week 0 and the weeks that are over."""
        return weeks_of(self.experiment, self.measuring.last)

    def measure(self) -> list[SumsRecord]:
        """Makes the weeks that are due, then the sums; returns none if nothing is due."""
        newest, name, made = self.weeks[-1], self.experiment.name, None
        if not newest.number:
            if self._has_ended:
                self.store.delete_users()
            else:
                log_step("weeks", f"{name}: week 1 ends on {self.experiment.last_day_of(1)}")
            return []
        there = self.store.sums().get(newest.number)
        if there is not None and not self._has_ended and self.measuring.last != newest.last:
            return []  # between two looks nothing changes
        if there is None or not there.final:
            made = self._sum(self._make_weeks())
            there = made or there
        if there is not None and self._has_ended:
            there = made = self.store.mark_final(there)
            self.store.delete_users()
            log_step("weeks", f"{name} has ended: its sums are final, and what they were made of is deleted")
        return [] if made is None else [made]

    @property
    def _has_ended(self) -> bool:
        """Whether the experiment is closed, and no late event can come any more."""
        closed = self.experiment.closed
        if closed is None:
            return False
        return self.measuring.last >= self.weeks[-1].last + dt.timedelta(days=lateness(self.measuring.settings))

    def _make_weeks(self) -> dict[int, WeekRecord]:
        """Makes the weeks that are missing or have changed; returns the records of all."""
        known, settings = self.store.weeks(), self.measuring.settings
        old = self.measuring.last - dt.timedelta(days=settings.outcomes.keep_current_days)
        rules = _rules_of(settings)
        alike = {number for number, record in known.items() if record.rules == rules}
        asked = [week for week in self.weeks if week.number not in alike or week.last > old]
        if not asked:
            return known
        plan = self._survey(asked)
        wanted = {week.number: self._record(plan, week, rules) for week in asked}
        changed = [week for week in asked if known.get(week.number) != wanted[week.number]]
        due = [week for week in changed if self._can_be_made(plan, week, known.get(week.number))]
        if due:
            self._write(plan, due)
            for week in due:
                self.store.mark_week(wanted[week.number])
        return {**known, **{week.number: wanted[week.number] for week in due}}

    def _can_be_made(self, plan: Plan, week: Week, known: WeekRecord | None) -> bool:
        """Returns whether a week can be made; raises NotLanded, FeaturesError if it never was."""
        try:
            self._check(plan, week)
        except DiscoveryError as error:
            if known is None:
                raise
            log.warning(
                "warning   week %s stays as it was made with events up to %s: %s", week.number, known.through, error
            )
            return False
        return True

    def _survey(self, weeks: Sequence[Week]) -> Plan:
        """Returns what there is to read for these weeks."""
        settings, catalog = self.measuring.settings, self.measuring.catalog
        first = min(week.first for week in weeks) - dt.timedelta(days=days_before(settings.outcomes))
        end = max(self._through(week) for week in weeks) + dt.timedelta(days=1)
        return survey(settings, Window(first, end), catalog, self.measuring.exposures)

    def _through(self, week: Week) -> dt.date:
        """Returns the last day whose events may be of a week, as far as it is over."""
        return min(week.last + dt.timedelta(days=lateness(self.measuring.settings)), self.measuring.last)

    def _record(self, plan: Plan, week: Week, rules: str) -> WeekRecord:
        settings, through = self.measuring.settings, self._through(week)
        audience = self._audience_plan(week)
        before = week.first - dt.timedelta(days=days_before(settings.outcomes))
        span = Window(before, through + dt.timedelta(days=1))
        inputs = [
            (f"{name}/{partition.day}", partition.fingerprint)
            for name in sorted(plan.plans)
            for partition in within(plan.plans[name], span).found
        ]
        inputs += [(f"audience/{part.day}", part.fingerprint) for part in (audience.found if audience else ())]
        return WeekRecord(
            number=week.number,
            first=week.first,
            last=week.last,
            through=through,
            mature=through == week.last + dt.timedelta(days=lateness(settings)),
            rules=rules,
            inputs=digest_of_inputs(inputs),
            basis=_basis(plan).value,
            audience=self._audience_text(week, audience),
            new_is_known=is_whole(
                plan, Window(week.first - dt.timedelta(days=settings.outcomes.new_days), week.first), settings
            ),
        )

    def _audience_plan(self, week: Week) -> DatasetPlan | None:
        """Returns the snapshot that a run as of the week's first day reads; None: no audience is read."""
        dataset = self.measuring.settings.datasets.audience
        return (
            None
            if dataset is None or not week.number
            else plan_snapshot("audience", dataset, week.first, self.measuring.catalog)
        )

    def _audience_text(self, week: Week, audience: DatasetPlan | None) -> str:
        if not week.number:
            return "that of any week"
        if audience is None:
            return f"users of the {self.measuring.settings.outcomes.new_days} days before"
        return f"snapshot of {audience.found[0].day}" if audience.found else "none found"

    def _check(self, plan: Plan, week: Week) -> None:
        """Raises NotLanded, FeaturesError. Of week 0 there may be as little as there is."""
        if not week.number:
            return
        span = Window(week.first, week.end)
        for name in self.measuring.settings.datasets.events:
            enforce(plan, name, span)
        if EXPOSURES in plan.plans:
            landed_at = LandingStore.of(self.measuring.home, self.measuring.settings.product).state().landed_at
            for day in span.days:
                check_landed(plan, day, landed_at)
        dataset, audience = self.measuring.settings.datasets.audience, self._audience_plan(week)
        if dataset is not None and audience is not None:
            enforce_snapshot(audience, dataset, self.measuring.catalog)

    def _write(self, plan: Plan, weeks: Sequence[Week]) -> None:
        """Writes the rows of users of these weeks in one job."""
        read, measuring = self._spans(plan, weeks), self.measuring
        first, end = min(week.first for week in weeks), max(week.end for week in weeks)
        served = [served_by(row) for row in during(measuring.history(), first, end)]
        basis, ids = _basis(plan), measuring.settings.ids
        answers = measuring.answers(read, served).get(basis)
        if answers is None:
            answers = answers_of(measuring.spark.createDataFrame([], spark_schema(contract.exposures(ids))))
        log_step("weeks", f"{self.experiment.name}: {_listed(weeks)}, {basis}")
        for week in weeks:
            self.store.forget_week(week.number)
        events, categories = measuring.events(read), measuring.categories()
        audience, rules = self._audience(weeks), measuring.settings.outcomes
        schema = contract.experiment_weeks(ids)
        parts = measuring.buckets(read)
        rows = weekly_rows(answers, events, audience, weeks, basis, rules, categories, buckets=parts)
        writer = rows.select("week", *schema.names).write.mode("append").partitionBy("week")
        options = {"compression": "zstd", "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
        writer.options(**options).parquet(self.store.at.spark_path(WEEKS))
        forgotten = Erased.read(measuring.environment.need_kafka(), measuring.settings.product, measuring.settings.ids)
        if forgotten.users - set(measuring.catalog.erased):  # while this was under way
            forget_weeks(self.experiments, forgotten.users)

    def _spans(self, plan: Plan, weeks: Sequence[Week]) -> dict[str, DatasetPlan]:
        """Returns what is read: events from before the weeks on, answers that may own events of them."""
        rules, end = self.measuring.settings.outcomes, plan.last + dt.timedelta(days=1)
        first = min(week.first for week in weeks)
        earlier = first - dt.timedelta(days=rules.horizon_days)
        latest = max(week.end for week in weeks)
        return {
            name: within(one, Window(earlier, latest))
            if name in (EXPOSURES, IMPRESSIONS)
            else within(one, Window(first - dt.timedelta(days=days_before(rules)), end))
            for name, one in plan.plans.items()
        }

    def _audience(self, weeks: Sequence[Week]) -> DataFrame | None:
        """Returns user_id and week of who was in the audience before each week; None: by their events."""
        dataset, measuring = self.measuring.settings.datasets.audience, self.measuring
        if dataset is None:
            return None
        ids, catalog = measuring.settings.ids, measuring.catalog
        frames = [
            measuring.spark.createDataFrame([], spark_schema(contract.audience(ids))).withColumn("week", sf.lit(0))
        ]
        for week in weeks:
            plan = self._audience_plan(week)
            if plan is not None and plan.found:
                read = SnapshotRead(check_snapshot(plan, dataset, ids), dataset, week.first)
                (snapshot,) = read_snapshots([read], ids, catalog)
                frames.append(snapshot.frame.select("user_id", sf.lit(week.number).alias("week")))
        return union_of(frames)

    def _sum(self, made: Mapping[int, WeekRecord]) -> SumsRecord | None:
        """Makes the sums of all weeks; returns None if they are there."""
        history = self.measuring.history()
        weeks = [self._week_of_sums(made[week.number], history) for week in self.weeks]
        slices = slices_of(self.measuring.settings.rollout.ramp, weeks)
        erased = Erased(frozenset(self.measuring.catalog.erased))
        inputs: list[tuple[object, str]] = [(week.number, made[week.number].inputs) for week in weeks]
        inputs += [("forgotten", erased.fact["sha256"]), ("slices", str(slices)), ("version", str(_VERSION))]
        digest = digest_of_inputs(inputs)
        there = self.store.sums().get(weeks[-1].number)
        if there is not None and (there.inputs, there.weeks) == (digest, tuple(weeks)):
            return None
        cells = slice_cells(self._rows(), self.experiment.salt, slices, weeks[-1].number)
        metrics, left_out = chosen(cells)
        record = SumsRecord(
            product=self.experiment.product,
            experiment=self.experiment.name,
            salt=self.experiment.salt,
            inputs=digest,
            weeks=tuple(weeks),
            slices=tuple(_counts(*one) for one in zip(slices, cells, strict=True)),
            metrics=tuple(metrics),
            categories_left_out=left_out,
        )
        return self.store.write_sums(record, list(sums_rows(metrics, slices, cells)))

    def _rows(self) -> DataFrame:
        """Returns the rows of all weeks, without forgotten users."""
        spark, at = self.measuring.spark, self.store.at
        schema = contract.experiment_weeks(self.measuring.settings.ids)
        paths = self.store.week_paths([week.number for week in self.weeks])
        wanted = spark_schema(schema).add("week", IntegerType())
        if not paths:
            return spark.createDataFrame([], wanted)
        reader = spark.read.schema(wanted).option("basePath", at.spark_path(WEEKS))
        rows = reader.parquet(*(at.spark_pattern(path) for path in paths))
        return without_users(rows, self.measuring.catalog.erased)

    def _week_of_sums(self, record: WeekRecord, history: Sequence[Mapping[str, Any]]) -> WeekOfSums:
        rows = during(history, record.first, record.last + dt.timedelta(days=1)) if record.number else []
        span = Window(record.first, record.last + dt.timedelta(days=1))
        served = tuple(then(row, self.experiment.salt, span) for row in rows)
        known = record.model_dump(exclude={"inputs", "rules"})
        return WeekOfSums(**known, served=served, share_bp=longest(served, span))


def chosen(cells: Sequence[SliceCells]) -> tuple[list[str], int]:
    """Returns the metrics of which sums are kept, and how many categories have too little to be among them."""
    found = metrics_among(cells)
    of = {text: Metric.parse(text) for text in found}
    engaged = {text: sum(one.moments(text).total.sum() for one in cells) for text in found if of[text].by == "category"}
    ranked = sorted((text for text in engaged if of[text].name == "new"), key=lambda text: (-engaged[text], text))
    known = {of[text].value for text in engaged}
    kept = {of[text].value for text in ranked[:MOST_CATEGORIES]} if len(known) > MOST_CATEGORIES else known
    return [text for text in found if of[text].by != "category" or of[text].value in kept], len(known - kept)


def sums_rows(
    metrics: Sequence[str], slices: Sequence[Slice], cells: Sequence[SliceCells]
) -> Iterator[dict[str, object]]:
    """Yields `contract.experiment_sums`."""
    for metric in metrics:
        for place, one in zip(slices, cells, strict=True):
            moments = one.moments(metric).to_bytes()
            yield {"metric": metric, "low_bp": place.low_bp, "high_bp": place.high_bp, "moments": moments}


def then(row: Mapping[str, Any], salt: str, span: Window) -> ShareThen:
    """Returns a change of the pointer; what happened to it after the span says nothing about it."""
    names, until = ("since", "treatment", "control", "share_bp"), row["until"]
    if until is not None and until >= midnight(span.end):
        until = None
    return ShareThen(**{name: row[name] for name in names}, until=until, ours=row["salt"] == salt)


def slices_of(ramp: RampSettings | None, weeks: Sequence[WeekOfSums]) -> tuple[Slice, ...]:
    """Returns the hash, cut at the steps of the ramp (without one, of a usual one) and at every share that there was.

    So a share that is raised to the next step cuts nothing anew.
    """
    steps = (RampSettings() if ramp is None else ramp).steps
    served = (one.treated_bp for week in weeks for one in week.served if one.ours)
    return slices_at({*(step.bp for step in steps), *served})


def longest(served: Sequence[ShareThen], span: Window) -> int | None:
    """Returns the share that held longest; of equals the one that came later."""
    held: dict[int, dt.timedelta] = {}
    for then in (one for one in served if one.ours):
        start, stop = midnight(span.start), midnight(span.end)
        time = min(then.until or stop, stop) - max(then.since, start)
        held[then.treated_bp] = held.pop(then.treated_bp, dt.timedelta()) + time
    return max(reversed(held), key=lambda share: held[share], default=None)


def _counts(place: Slice, cells: SliceCells) -> CountsOfSlice:
    return CountsOfSlice(
        low_bp=place.low_bp,
        high_bp=place.high_bp,
        first_seen=tuple(cells.by_week(FIRST_SEEN)),
        joined=tuple(cells.by_week(JOINED)),
        robots=tuple(cells.by_week(ROBOTS)),
    )


def _basis(plan: Plan) -> Basis:
    """Returns what is counted: answers, which users of the control have as well; impressions where that is all."""
    answers = plan.plans.get(EXPOSURES)
    return Basis.ANSWERED if answers is not None and answers.found else Basis.SHOWN


def _rules_of(settings: Settings) -> str:
    """Returns a digest of everything but data that decides what a week counts."""
    audience = settings.datasets.audience
    read = None if audience is None else [audience.path, audience.columns]
    return digest_of_json({"settings": settings_hash_of(settings), "audience": read, "version": _VERSION})[:16]


def _listed(weeks: Sequence[Week]) -> str:
    return f"week{'s' if len(weeks) > 1 else ''} {', '.join(str(week.number) for week in weeks)}"
