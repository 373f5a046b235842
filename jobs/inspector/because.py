"""What made a user's factors: the events in the windows, the weight of each pair, what each adds to a score."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from conf.ids import UserId
from features.decay import factor_of
from jobs.inspector.archive import Archive, OpenRun
from jobs.inspector.explanation import (
    MOST_CONTRIBUTIONS,
    Basis,
    Contribution,
    EventCount,
    Pair,
    Score,
    SourceId,
    Without,
)
from jobs.run.manifest import NoRun
from models.arrays.arrow import numpy_of
from models.explain.contributions import Floats, TrainedSources
from models.explain.counterfactual import REMOVED, Removals

FOLDED = "folded_user_factors"
_CHAMPIONS = "champion_interactions"
_EVENT_COLUMNS = ("source_id", "event", "events", "amount", "left_out")


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a user's factors come from."""

    run: OpenRun
    """The run whose interactions they were made of."""
    table: str
    counts: str
    """The table by which the interactions of each source are counted."""
    basis: Basis


def origin_of(archive: Archive, run: OpenRun, user: UserId) -> Origin:
    """Returns what a user's factors were made of; in a refresh, of a user of the training, an earlier run's."""
    training = run.fact("train", "training", {})
    algorithm, started = str(training.get("algorithm", "als")), str(training.get("started", "cold"))
    if algorithm != "fold_in":
        table = str(training.get("trained_on", "interactions"))
        return Origin(run, table, table, Basis(run.name, algorithm, started, _fault(algorithm, training)))
    fault = _fault(algorithm, training)
    if run.rows(FOLDED, user, ["user_id"]).num_rows:
        table = _CHAMPIONS if run.has(_CHAMPIONS) else "interactions"
        return Origin(run, table, "trained_sources", Basis(run.name, algorithm, started, fault))
    trained = str(training["from_run"])
    try:
        earlier = archive.open(trained)
    except NoRun as error:
        gone = f"the user was in the training of run {trained}, whose interactions are not here: {error}"
        return Origin(run, "interactions", "trained_sources", Basis(trained, algorithm, started, gone))
    table = str(earlier.fact("train", "training", {}).get("trained_on", "interactions"))
    return Origin(earlier, table, "trained_sources", Basis(trained, algorithm, started, fault))


def _fault(algorithm: str, training: dict[str, Any]) -> str | None:
    """Returns why nothing is said of contributions; None: they are."""
    if training.get("constants") is not None:
        return None
    if algorithm == "popular":
        return "the lists are popular sources: the score of a source is its number of users, whoever is asked"
    return f"trainer {algorithm} recorded no constants of its training, so that there are scores only"


@dataclass(frozen=True)
class Events:
    """A user's events in the windows of a run."""

    counts: tuple[EventCount, ...]
    missing: tuple[tuple[str, dt.date], ...]
    """Days whose daily partials are gone, or were made of other data since."""

    @property
    def sums(self) -> dict[SourceId, float] | None:
        """Source → Σ of the weights; None: days are missing."""
        if self.missing:
            return None
        terms = defaultdict[SourceId, list[float]](list)
        for one in self.counts:
            terms[one.source].append(one.weight)
        return {source: math.fsum(some) for source, some in terms.items()}


def events_of(archive: Archive, origin: Origin, user: UserId) -> Events:
    """Returns a user's events in the windows of the recipe that the factors were made by, the newest first."""
    run, is_champions = origin.run, origin.table == _CHAMPIONS
    weights, half_life = _recipe(run, is_champions=is_champions)
    as_of = run.kept.manifest.request.as_of
    counts, missing = list[EventCount](), list[tuple[str, dt.date]]()
    for record in run.fact("features", "champion_inputs" if is_champions else "inputs", []):
        name, start, end = record["name"], _date(record["start"]), _date(record["end"])
        if name not in run.settings["datasets"]["events"]:
            continue  # a snapshot
        names = [f"champion/{name}", name] if is_champions else [name]
        for part in reversed(record["days"]):
            day = _date(part["day"])
            if not start <= day < end:
                continue  # only the judged recipe read it
            rows = archive.partials(names, day, part["fingerprint"])
            if rows is None:
                missing.append((name, day))
                continue
            for row in rows.of(user, _EVENT_COLUMNS).to_pylist():
                if row["left_out"] is None:
                    factor = factor_of(weights.get(row["event"], 0.0), (as_of - day).days, half_life)
                    counts.append(
                        EventCount(name, day, row["event"], row["source_id"], row["events"], row["amount"], factor)
                    )
    return Events(tuple(sorted(counts, key=_order)), tuple(missing))


def _order(one: EventCount) -> tuple[str, int, str, str]:
    return one.dataset, -one.day.toordinal(), one.event, str(one.source)


def _date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _recipe(run: OpenRun, *, is_champions: bool) -> tuple[dict[str, float], float]:
    """Returns the weights of events and their half-life in days."""
    champion = run.kept.manifest.champion
    if is_champions and champion is not None and champion.recipe is not None:
        recipe: dict[str, Any] = champion.recipe
        return recipe["event_weights"], recipe["half_life_days"]
    interactions = run.settings["interactions"]
    return interactions["event_weights"], interactions["half_life_days"]


@dataclass(frozen=True, eq=False)
class Because:
    """A user's interactions, and what each adds to scores; empty where nothing is said of contributions."""

    pairs: tuple[Pair, ...]
    trained: TrainedSources | None
    rows: np.ndarray[Any, Any]
    """Rows of the sources of the interactions that were trained on, int64."""
    confidences: Floats
    names: Sequence[SourceId]

    def scores(self, wanted: np.ndarray[Any, Any], values: Sequence[float]) -> list[Score]:
        """Returns what the scores of these rows, which are `values`, are made of."""
        if self.trained is None or not len(self.rows):
            return [Score(value, (), 0.0, 0, None) for value in values]
        parts = self.trained.contributions(self.rows, self.confidences, wanted)
        return [self._score(value, terms) for value, terms in zip(values, parts, strict=True)]

    def without(self, rivals: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> list[Without | None]:
        """Returns what the places of these positions among the rivals rest on."""
        if self.trained is None or len(self.rows) <= REMOVED:
            return [None] * len(wanted)
        removals = Removals(self.trained, self.rows, self.confidences, rivals)
        return [
            Without(tuple(self.names[at] for at in one.without), one.place, one.place_without)
            for one in removals.counterfactuals(wanted)
        ]

    def _score(self, value: float, terms: Floats) -> Score:
        order = np.argsort(-terms, kind="stable")
        named = order[:MOST_CONTRIBUTIONS]
        shown = tuple(Contribution(self.names[at], float(terms[at])) for at in named.tolist())
        rest = terms[order[MOST_CONTRIBUTIONS:]].tolist()
        others = math.fsum(rest)
        remainder = math.fsum((value, -others, *(-one.value for one in shown)))
        return Score(value, shown, others, len(rest), remainder)


def because_of(run: OpenRun, origin: Origin, user: UserId, events: Events) -> Because:
    """Returns the user's pairs and what they add to scores by the sources of `run`."""
    table = origin.run.rows(origin.table, user, ["source_id", "weight", "last_ts"]).sort_by("source_id")
    confidences = np.zeros(0)
    rows = np.zeros(0, np.int64)
    trained = None
    if origin.basis.fault is None and table.num_rows:
        trained = run.trained(run.fact("train", "training")["constants"])
        every = run.sources.rows(table["source_id"])
        rows, weights = every[every >= 0], numpy_of(table["weight"])[every >= 0]
        confidences = trained.confidences(weights, run.counts(origin.counts)[rows])
    names = run.sources.names(rows) if len(rows) else []
    by_source = dict(zip(names, confidences.tolist(), strict=True))
    return Because(_pairs(table, events.sums, by_source), trained, rows, confidences, names)


def _pairs(table: pa.Table, sums: dict[SourceId, float] | None, confidences: dict[SourceId, float]) -> tuple[Pair, ...]:
    summed = dict(sums or {})
    pairs = []
    for row in table.to_pylist():
        source = row["source_id"]
        total = None if sums is None else summed.pop(source, 0.0)
        pairs.append(Pair(source, row["weight"], total, row["last_ts"], confidences.get(source)))
    pairs += [Pair(source, None, total, None, None) for source, total in summed.items()]
    return tuple(sorted(pairs, key=lambda pair: (-(pair.weight or 0.0), str(pair.source))))
