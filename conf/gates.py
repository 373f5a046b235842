"""Limits of the gates; a field's name is the name of the expectation in the report and in `--override`."""

import datetime as dt
from typing import Literal

from pydantic import Field

from conf.base import MAX_COUNT, MAX_RATIO, Number, Strict, Whole

DriftMode = Literal["block", "warn", "off"]


class InputGate(Strict):
    """Gate 1, inputs: snapshots and new days of events, before they are used.

    On the first run, and where numbers are too small, they are reported as skipped. A change is relative to the larger
    of the two numbers: half as many and twice as many are both 0.5; 1 allows any change. How far healthy weeks are from
    these limits: `python -m benchmarks.gates`.
    """

    max_change_of_subscriptions: Number = Field(default=0.4, gt=0, le=1)
    """Largest change of the rows and of the users of `subscriptions` against the run that serves."""
    max_change_of_sources: Number = Field(default=0.2, gt=0, le=1)
    """Largest change of the rows of `sources` against the run that serves."""
    max_change_of_eligible_share: Number = Field(default=0.4, gt=0, le=1)
    """Largest fall of the share of eligible sources, or of the share of ineligible ones, against the run that serves: 1
    if all closed sources became active, 0.5 if half of the active ones were closed."""
    max_change_of_blocks: Number = Field(default=0.4, gt=0, le=1)
    """Largest change of the rows and of the users of `blocks` against the run that serves."""
    max_change_of_audience: Number = Field(default=0.4, gt=0, le=1)
    """Largest change of the rows and of the users of `audience` against the run that serves."""
    max_change_of_new_days: Number = Field(default=0.4, gt=0, le=1)
    """Largest change of a dataset's events and users per day: median over the days since the run that serves (at least
    a week), each against the usual number of the same weekday before."""


class InteractionGate(Strict):
    """Gate 1, interactions. Relative limits compare with the run before; the first run reports them as skipped."""

    min_rows: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Fewest interactions."""
    min_users: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Fewest users with interactions."""
    min_sources: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Fewest sources with interactions."""
    max_change_of_rows: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Largest relative change of interactions, users and sources against the run before."""
    max_weight: Number = Field(default=1e6, gt=0, le=1e9)
    """Largest weight of one interaction; a larger one points to a robot or a wrong unit."""
    max_change_of_mean: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Largest relative change of the mean weight against the run before."""
    max_change_of_quantiles: Number = Field(default=0.75, gt=0, le=MAX_RATIO)
    """Largest relative change of the 10 %, 50 %, 90 % and 99 % quantiles of the weight against the run before."""
    max_divergence: Number = Field(default=0.1, gt=0, le=MAX_RATIO)
    """Largest Kullback–Leibler divergence (nats) of the histogram of log weights from that of the run before."""


class ListGate(Strict):
    """Gate 2, lists and fallback list. The rules on what a list must never contain have no limit and no override."""

    min_length_share: Number = Field(default=0.5, ge=0, le=1)
    """Smallest share of full lists (n sources); not checked if there are fewer than n eligible sources."""
    min_coverage_of_users: Number = Field(default=0.9, ge=0, le=1)
    """Smallest share of users with interactions (in audience and share of the run) who have a personal list."""
    min_coverage_of_catalogue: Number = Field(default=0.01, ge=0, le=1)
    """Smallest share of the eligible sources that are in at least one list."""
    max_concentration: Number = Field(default=0.8, gt=0, le=1)
    """Largest share of personal lists with the most frequent source; not checked below 100 eligible sources."""
    max_change_of_lists: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Largest relative change of the number of lists per share against the run that serves."""
    min_quality_ratio: Number = Field(default=1.0, ge=0, le=MAX_RATIO)
    """Smallest ratio of NDCG@k of the judged lists to the popularity list's; reported as skipped if not judged."""


class GateSettings(Strict):
    """Limits of both gates; gate 1 checks the inputs and then the interactions."""

    time_limit_seconds: Whole = Field(default=1800, ge=1, le=7 * 86_400)
    """Seconds that a gate may take; a gate that takes longer fails."""
    inputs: InputGate = InputGate()
    """Gate 1, inputs."""
    interactions: InteractionGate = InteractionGate()
    """Gate 1, interactions."""
    lists: ListGate = ListGate()
    """Gate 2."""
    false_alarms_per_year: Number = Field(default=1.0, gt=0, le=366)
    """How often a year the drift gates may stop a healthy run, by all statistics together; limits follow from it."""
    drift: dict[str, DriftMode] = Field(default_factory=dict)
    """Statistic (`SUBJECT.NAME`, or `NAME` for every subject) → what an alarm does, where it is not the default:
    `block` stops the run, `warn` only reports, `off` does not judge. The names: docs/drift.md."""
    known_days: tuple[dt.date, ...] = ()
    """Days that differ and may, e.g. holidays and releases: not judged, and no part of what is usual."""
