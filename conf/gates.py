"""Limits of the gates; each name is the name of its expectation in the report and in `--override`."""

from pydantic import Field

from conf.base import MAX_COUNT, MAX_RATIO, Number, Strict, Whole


class InputGate(Strict):
    """Gate 1, before anything is made of them: snapshots and new days of events.

    Skipped, aloud, on the first run and where numbers are too small to tell. A change is relative to the larger of two
    numbers: half as many and twice as many are both a change of 0.5; 1 lets everything pass. How far healthy weeks are
    from these limits: `python -m benchmarks.gates`.
    """

    max_change_of_subscriptions: Number = Field(default=0.4, gt=0, le=1)
    """Change of the rows and of the users of `subscriptions` against the run that serves, at most."""
    max_change_of_sources: Number = Field(default=0.2, gt=0, le=1)
    """Change of the rows of `sources` against the run that serves, at most."""
    max_change_of_eligible_share: Number = Field(default=0.4, gt=0, le=1)
    """Change of the share of sources that may be recommended where it fell, or of the share of the others where those
    became fewer, at most: all closed sources called active is 1, half of the active ones closed is 0.5."""
    max_change_of_blocks: Number = Field(default=0.4, gt=0, le=1)
    """Change of the rows and of the users of `blocks` against the run that serves, at most."""
    max_change_of_audience: Number = Field(default=0.4, gt=0, le=1)
    """Change of the rows and of the users of `audience` against the run that serves, at most."""
    max_change_of_new_days: Number = Field(default=0.4, gt=0, le=1)
    """Change of a dataset's events and users on the days since the run that serves, a week at least, against what is
    usual on the same weekdays before, in the median of the days, at most."""


class InteractionGate(Strict):
    """Gate 1: the interactions. Relative limits compare with the run before and are skipped on the first run, aloud."""

    min_rows: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Interactions, at least."""
    min_users: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Users with interactions, at least."""
    min_sources: Whole = Field(default=1, ge=1, le=MAX_COUNT)
    """Sources with interactions, at least."""
    max_change_of_rows: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Relative change of interactions, users and sources against the run before, at most."""
    max_weight: Number = Field(default=1e6, gt=0, le=1e9)
    """Largest weight of one interaction; above it a robot or a unit error is at work."""
    max_change_of_mean: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Relative change of the mean weight against the run before, at most."""
    max_change_of_quantiles: Number = Field(default=0.75, gt=0, le=MAX_RATIO)
    """Relative change of the 10 %, 50 %, 90 % and 99 % quantiles of the weight against the run before, at most."""
    max_divergence: Number = Field(default=0.1, gt=0, le=MAX_RATIO)
    """Kullback–Leibler divergence (nats) of the histogram of log weights from the run before, at most."""


class ListGate(Strict):
    """Gate 2: the lists and the fallback list. What a list must never hold is not a limit and cannot be overridden."""

    min_length_share: Number = Field(default=0.5, ge=0, le=1)
    """Share of the lists that are full (n long), at least; ignored where the catalogue is smaller than n."""
    min_coverage_of_users: Number = Field(default=0.9, ge=0, le=1)
    """Share of the users with interactions (in the audience and in the run's share) with a personal list, at least."""
    min_coverage_of_catalogue: Number = Field(default=0.01, ge=0, le=1)
    """Share of the eligible sources that appear in any list, at least."""
    max_concentration: Number = Field(default=0.8, gt=0, le=1)
    """Share of the personal lists that hold the most frequent source, at most; not asked below 100 eligible sources."""
    max_change_of_lists: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Relative change of the number of lists (share for share) against the run that serves, at most."""
    min_quality_ratio: Number = Field(default=1.0, ge=0, le=MAX_RATIO)
    """NDCG@k of the judged lists ÷ that of the popularity list, at least; skipped, aloud, where not judged."""


class GateSettings(Strict):
    """Both gates; the first one looks twice, at what comes in and at the interactions."""

    time_limit_seconds: Whole = Field(default=1800, ge=1, le=7 * 86_400)
    """Seconds that a gate may take; a gate that hangs has failed."""
    inputs: InputGate = InputGate()
    """Gate 1, what comes in."""
    interactions: InteractionGate = InteractionGate()
    """Gate 1, the interactions."""
    lists: ListGate = ListGate()
    """Gate 2."""
