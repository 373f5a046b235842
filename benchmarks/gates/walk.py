"""Every weekly run of a past against the one before: what stops it as it was, and with a loss planted in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.gates.losses import Plant, Week
from benchmarks.gates.past import Past, date_of
from benchmarks.gates.verdicts import Measured, Verdict, judge, measure


@dataclass(frozen=True)
class Healthy:
    """Weeks as they were."""

    name: str
    weeks: int
    interactions: tuple[str, ...]
    """Those that the limits on the interactions stop, with the limits."""
    inputs: tuple[str, ...]
    """Those that the limits on what comes in stop."""
    added: tuple[str, ...]
    """Those that only the latter stop."""


@dataclass(frozen=True)
class Planted:
    """Weeks, all of them let pass as they were, with one kind of loss."""

    name: str
    kind: str
    share: float
    """How much is lost."""
    weeks: int
    interactions: float
    """Share of the weeks that the limits on the interactions stop."""
    inputs: float
    """Share of the weeks that those on what comes in stop."""


@dataclass(frozen=True)
class Judged:
    """One run as it was."""

    before: Measured
    now: Measured
    week: Week
    verdict: Verdict


def walk(past: Past) -> Iterator[Judged]:
    """Yields the runs but the first one, each while the one before serves."""
    before: Measured | None = None
    for run in past.runs:
        week = Week(past.newest(run), past.snapshots(run))
        now = measure(past, run, week.newest, week.snapshots)
        if before is not None:
            yield Judged(before, now, week, judge(past, now, before))
        before = now


def healthy(name: str, runs: Sequence[Judged]) -> Healthy:
    """Returns what stops the runs as they were."""
    return Healthy(
        name,
        len(runs),
        tuple(_told(run, run.verdict.interactions) for run in runs if run.verdict.interactions),
        tuple(_told(run, run.verdict.inputs) for run in runs if run.verdict.inputs),
        tuple(_told(run, run.verdict.inputs) for run in runs if run.verdict.inputs and not run.verdict.interactions),
    )


def planted(
    past: Past, runs: Sequence[Judged], plants: Mapping[str, Plant], shares: Sequence[float], rng: Generator
) -> list[Planted]:
    """Returns what stops the runs that nothing stops as they were, with each kind of loss and share."""
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


def _with(past: Past, run: Judged, week: Week) -> Verdict:
    """Returns the verdict on a run whose newest week and snapshots are others; events alone make interactions."""
    inputs = past.inputs(run.now.run, week.newest, week.snapshots)
    same = week.newest is run.week.newest
    interactions = run.now.interactions if same else past.interactions(run.now.run, week.newest)
    return judge(past, Measured(run.now.run, inputs, interactions), run.before)


def _told(run: Judged, limits: Sequence[str]) -> str:
    return f"{date_of(run.now.run)} {' '.join(limits)}"
