"""Judges every weekly run of a past against the one before, as it was and with planted losses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.gates.losses import NewestWeek, Plant
from benchmarks.gates.past import Past, date_of
from benchmarks.gates.verdicts import FailedChecks, Measured, judge, measure


@dataclass(frozen=True)
class Healthy:
    """What stops the weeks of a past as they were."""

    name: str
    weeks: int
    interactions: tuple[str, ...]
    """Weeks that the checks on interactions stop, with the names of the checks."""
    inputs: tuple[str, ...]
    """Weeks that the checks on inputs stop."""
    added: tuple[str, ...]
    """Weeks that only the checks on inputs stop."""


@dataclass(frozen=True)
class Planted:
    """Weeks that passed as they were, with one kind of loss."""

    name: str
    kind: str
    share: float
    """How much is lost, 0 … 1."""
    weeks: int
    interactions: float
    """Share of the weeks that the checks on interactions stop."""
    inputs: float
    """Share of the weeks that the checks on inputs stop."""


@dataclass(frozen=True)
class Judged:
    """One run as it was."""

    before: Measured
    now: Measured
    week: NewestWeek
    verdict: FailedChecks


def walk(past: Past) -> Iterator[Judged]:
    """Yields the runs after the first; each is judged while the run before serves."""
    before: Measured | None = None
    for run in past.runs:
        week = NewestWeek(past.newest(run), past.snapshots(run))
        now = measure(past, run, week.newest, week.snapshots)
        if before is not None:
            yield Judged(before, now, week, judge(past, now, before))
        before = now


def healthy(name: str, runs: Sequence[Judged]) -> Healthy:
    """Returns which checks stop the runs as they were."""
    return Healthy(
        name,
        len(runs),
        tuple(_line(run, run.verdict.interactions) for run in runs if run.verdict.interactions),
        tuple(_line(run, run.verdict.inputs) for run in runs if run.verdict.inputs),
        tuple(_line(run, run.verdict.inputs) for run in runs if run.verdict.inputs and not run.verdict.interactions),
    )


def planted(
    past: Past, runs: Sequence[Judged], plants: Mapping[str, Plant], shares: Sequence[float], rng: Generator
) -> list[Planted]:
    """Returns how often runs that pass as they were are stopped, for each kind of loss and share."""
    sound = [run for run in runs if not (run.verdict.interactions or run.verdict.inputs)]
    rows: list[Planted] = []
    if not sound:
        return rows
    for kind, plant in plants.items():
        for share in shares:
            verdicts = [_with(past, run, plant(run.week, share, rng)) for run in sound]
            interactions = float(np.mean([bool(verdict.interactions) for verdict in verdicts]))
            inputs = float(np.mean([bool(verdict.inputs) for verdict in verdicts]))
            rows.append(Planted(past.name, kind, share, len(sound), interactions, inputs))
    return rows


def _with(past: Past, run: Judged, week: NewestWeek) -> FailedChecks:
    """Returns the verdict on a run with another newest week; interactions are measured again only if events changed."""
    inputs = past.inputs(run.now.run, week.newest, week.snapshots)
    same = week.newest is run.week.newest
    interactions = run.now.interactions if same else past.interactions(run.now.run, week.newest)
    return judge(past, Measured(run.now.run, inputs, interactions), run.before)


def _line(run: Judged, limits: Sequence[str]) -> str:
    return f"{date_of(run.now.run)} {' '.join(limits)}"
