"""The table of judged users → every figure: means with intervals, differences of arms, spread over the sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from conf.contract import LIST_TRAITS, METRICS
from conf.settings import JudgeSettings
from models.errors import NothingToJudge
from models.judge.bootstrap import ALL, Estimate, bootstrap_means
from models.judge.users import COLD, HEAVY, LIGHT, OURS
from models.metrics import spread

NEW = "new"
"""The segment of users whose truth holds new sources, judged on these only."""

SEGMENTS = (ALL, COLD, LIGHT, HEAVY, NEW)


class FigureKey(NamedTuple):
    """Arm, segment and metric of an estimate."""

    arm: str
    segment: str
    metric: str


@dataclass(frozen=True)
class Spread:
    """How an arm's lists spread over the eligible sources."""

    coverage: float
    """Share of the eligible sources that are in the list of any judged user."""
    gini: float
    """Gini coefficient of the places in these lists over the eligible sources, 0 (even) to 1."""


@dataclass(frozen=True)
class Judgement:
    """How good the lists of each arm are, cut at k: means over the judged users; users without a hit count as 0."""

    k: int
    replicates: int
    figures: Mapping[FigureKey, Estimate]
    """METRICS and LIST_TRAITS of every arm and segment, for new sources METRICS only; none without users."""
    leads: Mapping[FigureKey, Estimate]
    """Ours − the arm, paired by user: METRICS of every other arm and segment."""
    spreads: Mapping[str, Spread]
    remarks: Mapping[str, str]
    """Arm → a remark, for example why the arm is missing."""

    def users(self, segment: str = ALL) -> int:
        """Returns the number of judged users in a segment."""
        known = self.figures.get(FigureKey(OURS, segment, "ndcg"))
        return known.users if known else 0

    @property
    def arms(self) -> list[str]:
        """The judged arms, ours first."""
        return list(self.spreads)

    def flat(self) -> dict[str, int | float | str]:
        """Returns every number by a stable name, for manifest and registry.

        `[ARM.][SEGMENT.]METRIC`, ours and everybody unnamed, with `.low` and `.high` for the interval; `over_ARM.…` for
        ours − ARM; `[SEGMENT.]users`; `ARM.remark` for the remark, the only text.
        """
        numbers: dict[str, int | float | str] = {"k": self.k, "replicates": self.replicates}
        for segment in SEGMENTS:
            numbers[_path(segment, "users")] = self.users(segment)
        for figure, estimate in self.figures.items():
            if figure.segment == ALL or figure.metric in METRICS:
                numbers |= _named(_path(*figure), estimate)
        for figure, estimate in self.leads.items():
            numbers |= _named(_path(f"over_{figure.arm}", figure.segment, figure.metric), estimate)
        for arm, found in self.spreads.items():
            numbers |= {_path(arm, "coverage"): found.coverage, _path(arm, "gini"): found.gini}
        return numbers | {f"{arm}.remark": remark for arm, remark in self.remarks.items()}


def judge(
    rows: DataFrame, *, k: int, eligible: int, settings: JudgeSettings, remarks: Mapping[str, str] | None = None
) -> Judgement:
    """Returns all figures of contract.judged_users, whose first arm is ours. Raises NothingToJudge without rows.

    eligible: number of sources that a list could hold; remarks: arm → for example why it is missing.
    """
    arms = [column for column in rows.columns if column not in ("user_id", "segment")]
    figures = [FigureKey(arm, ALL, metric) for arm in arms for metric in (*METRICS, *LIST_TRAITS)]
    figures += [FigureKey(arm, NEW, metric) for arm in arms for metric in METRICS]
    leads = [FigureKey(arm, segment, metric) for arm in arms[1:] for segment in (ALL, NEW) for metric in METRICS]
    values = [*map(_value, figures), *(_value(lead._replace(arm=arms[0])) - _value(lead) for lead in leads)]
    means = bootstrap_means(rows, values, replicates=settings.replicates, seed=settings.seed)
    if not means:
        raise NothingToJudge("no user engaged with anything new in the hold-out; raise split.holdout_days")
    return Judgement(
        k=k,
        replicates=settings.replicates,
        figures=_by_segment(figures, {segment: found[: len(figures)] for segment, found in means.items()}),
        leads=_by_segment(leads, {segment: found[len(figures) :] for segment, found in means.items()}),
        spreads=_spreads(rows, arms, eligible),
        remarks=remarks or {},
    )


def _value(figure: FigureKey) -> Column:
    """Returns the column of contract.judged_users that a figure is the mean of."""
    return sf.col(f"{figure.arm}.{'new_' if figure.segment == NEW else ''}{figure.metric}").cast("double")


def _by_segment(
    figures: Sequence[FigureKey], means: Mapping[str, Sequence[Estimate | None]]
) -> dict[FigureKey, Estimate]:
    """Returns the estimates of every segment; new sources, over all users, are a segment of their own."""
    found: dict[FigureKey, Estimate] = {}
    for at, figure in enumerate(figures):
        of_users = means if figure.segment == ALL else {NEW: means[ALL]}
        for segment, estimates in of_users.items():
            if (estimate := estimates[at]) is not None:
                found[figure._replace(segment=segment)] = estimate
    return found


def _spreads(rows: DataFrame, arms: Sequence[str], eligible: int) -> dict[str, Spread]:
    """Returns the spread of each arm; only a histogram (places, number of such sources) is collected."""
    served = rows.select(
        sf.posexplode(sf.array(*(sf.col(f"{arm}.source_ids") for arm in arms))).alias("arm", "sources")
    )
    places = served.select("arm", sf.explode("sources").alias("source_id")).groupBy("arm", "source_id").count()
    histogram = places.groupBy("arm", "count").agg(sf.count("*").alias("sources")).orderBy("arm", "count").collect()
    found = {}
    for at, arm in enumerate(arms):
        found[arm] = Spread(
            *spread([(row["count"], row["sources"]) for row in histogram if row["arm"] == at], eligible)
        )
    return found


def _path(*names: str) -> str:
    return ".".join(name for name in names if name not in (OURS, ALL))


def _named(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.mean, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
