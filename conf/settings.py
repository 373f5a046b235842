"""Settings of one product: the keys of `conf/<product>.yml`, with unit and effect of each."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from conf.alerts import AlertSettings
from conf.base import MAX_COUNT, MAX_DAYS, MAX_RATIO, Bytes, Flag, Number, Seed, Strict, Whole
from conf.datasets import Datasets
from conf.exposures import ExposureSettings
from conf.gates import GateSettings
from conf.judging import JudgingSettings
from conf.outcomes import OutcomeSettings
from conf.ramp import RampSettings
from conf.serve import ServeSettings
from conf.share import EVERYBODY, Fraction, Share
from conf.training import AlsSettings, TrainerSettings

MAX_EVENT_WEIGHT, MIN_EVENT_WEIGHT = 1e6, 1e-6
"""Magnitudes of an event's weight: weights of pairs are added as integers, which represent 2^-54 … 2^32."""
_YEAR = 366 * 86_400
"""Seconds."""


def _product_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise ValueError(f"{name!r}: a product is lower-case letters, digits and _, starting with a letter, at most 40")
    return name


def _not_lost(weight: float) -> float:
    if 0 < abs(weight) < MIN_EVENT_WEIGHT:
        raise ValueError(f"is too small for fixed point; write 0, or at least {MIN_EVENT_WEIGHT:g}")
    return weight


EventWeight = Annotated[Number, Field(ge=-MAX_EVENT_WEIGHT, le=MAX_EVENT_WEIGHT), AfterValidator(_not_lost)]
"""0, or a magnitude from MIN_EVENT_WEIGHT to MAX_EVENT_WEIGHT."""


class InteractionSettings(Strict):
    """How events become one weight per (user, source): Σ weight of the event · 2^(−age_days / half_life_days).

    What changes weights belongs to `conf.recipe.Recipe` too, or a champion is judged by today's.
    """

    event_weights: dict[str, EventWeight] = Field(min_length=1)
    """Event name → weight, possibly 0 or negative; an event name neither here nor in `ignore_events` stops the run."""
    half_life_days: Number = Field(default=7.0, ge=0.05, le=1e9)
    """Days after which the weight of an event is halved."""
    exclude_seen: Flag = True
    """Never recommend a source with which the user has an event in the windows."""


class SplitSettings(Strict):
    """The temporal hold-out on which a recipe is judged before it is refit on everything."""

    holdout_days: Whole = Field(default=2, ge=1, le=MAX_DAYS)
    """Days before `--as-of` that the judged model does not see; the truth is what users newly engage with in them."""
    min_users: Whole = Field(default=50, ge=1, le=MAX_COUNT)
    """Fewest users with something new in the hold-out; with fewer the recipe is not judged, as the manifest states."""


class JudgeSettings(Strict):
    """How a recipe's lists are judged on the hold-out."""

    k: Whole = Field(default=20, ge=1, le=1000)
    """Places of a list that are judged; lists have at most `lists.n`."""
    heavy_from: Whole = Field(default=10, ge=2, le=MAX_COUNT)
    """Interactions before the cut from which a user is heavy; users with fewer are light, with none cold."""
    new_source_days: Whole = Field(default=7, ge=1, le=MAX_DAYS)
    """Days before the cut within which a source must be created, or first engaged with, to be new."""
    tolerance: Number = Field(default=0.02, ge=0, lt=1)
    """Share of the champion's NDCG by which a challenger may be worse (lower end of the interval) and still serve."""
    replicates: Whole = Field(default=200, ge=20, le=10_000)
    """Bootstrap replicates for the 95 % intervals."""
    seed: Seed = 7
    """Seed of the bootstrap and of the sample for item-kNN (`knn_products`)."""
    knn_neighbours: Whole = Field(default=100, ge=1, le=100_000)
    """Neighbours of each source in the item-kNN baseline."""
    knn_products: Whole = Field(default=20_000_000_000, ge=1, le=10**18)
    """Pairs of interactions that item-kNN may process; with more it uses, and reports, a sample of the users."""


class ListSettings(Strict):
    """The lists that users get."""

    n: Whole = Field(default=50, ge=1, le=1000)
    """Largest number of sources in a list."""
    fallback_size: Whole = Field(default=200, ge=1, le=100_000)
    """Sources in the fallback list (the popular ones), so that `n` remain after a user's exclusions."""
    max_per_category: Whole | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Largest number of sources of one category in a list; null: no limit."""
    max_per_owner: Whole | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Largest number of sources of one owner in a list; null: no limit."""
    min_score: Number | None = Field(default=None, ge=-1e9, le=1e9)
    """Score below which a source is left out, even if the list becomes short; null: no limit."""


ControlKind = Literal["none", "popular", "pinned"]
"""What users outside the share of an experiment get."""


class RolloutSettings(Strict):
    """Which users a run serves."""

    share: Fraction = EVERYBODY
    """Fraction of the audience that a run computes and serves, in steps of 0.0001; `--audience-share` overrides it."""
    salt: str = "discovery-1"
    """Text hashed with the user id to choose the arm; another salt selects other users; an open experiment has its
    own."""
    control: ControlKind = Field(default="none", exclude=True)
    """What users outside the share get once an experiment is opened: nothing of ours (`none`), popular sources
    (`popular`), or each week's lists by the recipe that served when it was opened (`pinned`): docs/experiments.md."""
    ramp: RampSettings | None = Field(default=None, exclude=True)
    """How an experiment's share rises from week to week; null: it is `share`."""
    max_manual_share: Fraction = Share(2_500)
    """Largest share that a run may serve if no scheduler started it."""
    max_change_of_users: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Largest relative change of users per share against the run it replaces that may be promoted."""


class PublishSettings(Strict):
    """Publishing through Kafka into Redis."""

    partitions: Whole = Field(default=8, ge=1, le=4096)
    """Kafka partitions of the product's topic, the units of loading; fixed once the topic exists."""
    replication: Whole = Field(default=1, ge=1, le=1000)
    """Replicas of a topic that the job creates."""
    users_per_bucket: Whole = Field(default=32, ge=1, le=1_000_000)
    """Users in one Redis hash, on average; each run keeps its own number. More cost Redis more time per look-up, fewer
    more memory; more than `hash-max-listpack-entries` cost a third more memory. Measured by
    `python -m benchmarks.publish.buckets`."""
    scores: Flag = True
    """Whether lists include their scores."""
    retention_hours: Whole = Field(default=24 * 35, ge=1, le=24 * MAX_DAYS)
    """Hours that the topics of lists and dead letters keep messages, set when a topic is created; afterwards alter the
    topic as the warning about it says. At least four runs, so that Redis can be rebuilt."""
    load_deadline_seconds: Whole = Field(default=3600, ge=1, le=_YEAR)
    """Seconds after BEGIN within which the run must serve; otherwise it is FAILED."""
    stall_seconds: Whole = Field(default=900, ge=1, le=_YEAR)
    """Seconds without progress after which a load is FAILED; must exceed the scheduler's wait before a retry."""
    delivery_timeout_seconds: Whole = Field(default=120, ge=1, le=7 * 86_400)
    """Seconds within which the broker must acknowledge a record."""
    redis_replicas: Whole = Field(default=0, ge=0, le=1000)
    """Replicas of each Redis master that must acknowledge a run before it may serve; best all that it has."""
    redis_maxmemory: Bytes | None = None
    """Bytes that Redis may fill, if its INFO does not show it; null: read from Redis."""
    redis_policy: Literal["noeviction"] | None = None
    """Eviction policy of Redis, if its INFO does not show it; null: read from Redis."""


class SparkSettings(Strict):
    """Spark, unless the command line or the cluster sets it."""

    shuffle_partitions: Whole = Field(default=8, ge=1, le=100_000)
    """Partitions of a shuffle before adaptive execution merges small ones; 2–4 per core."""
    user_block: Whole = Field(default=4096, ge=1, le=1_000_000)
    """Users that a worker ranks at once; limits its memory, does not change results."""


class RunSettings(Strict):
    """Retention of runs and daily partials."""

    keep_runs: Whole = Field(default=4, ge=2, le=1_000_000)
    """Runs whose folders are kept; older ones that do not serve are deleted after a promotion."""
    partials_keep_days: Whole = Field(default=60, ge=1, le=MAX_DAYS)
    """Days before `--as-of` for which daily partials are kept."""


class Settings(Strict):
    """All settings of one product."""

    product: Annotated[str, AfterValidator(_product_name)]
    """Name of the product; part of the names of its topic, Redis keys, run folders and DAG."""
    schedule: str | None = None
    """Cron expression in UTC of the weekly DAG; null: no DAG."""
    dag: dict[str, str | Whole | Number | Flag | None] = Field(default_factory=dict)
    """For the DAG file only: retries, time limits, pool; see DagSettings in `dags/product_files.py`."""
    ids: Literal["int64", "string"] = "int64"
    """Kind of user and source ids in every dataset of this product; strings have 1 … 255 bytes of UTF-8 without NUL."""
    data_root: str = "data"
    """Folder of relative dataset paths: a path, relative to DISCOVERY_HOME, or a URI."""
    datasets: Datasets
    """The datasets that the product reads."""
    interactions: InteractionSettings
    """From events to interactions."""
    split: SplitSettings = SplitSettings()
    """The temporal hold-out."""
    judge: JudgeSettings = JudgeSettings()
    """How lists are judged on the hold-out."""
    train: TrainerSettings = AlsSettings()
    """From interactions to embeddings."""
    lists: ListSettings = ListSettings()
    """From embeddings to lists."""
    gates: GateSettings = GateSettings()
    """Conditions for publishing."""
    rollout: RolloutSettings = RolloutSettings()
    """Which users are served."""
    publish: PublishSettings = PublishSettings()
    """From lists to Redis."""
    spark: SparkSettings = SparkSettings()
    """Spark."""
    runs: RunSettings = RunSettings()
    """Retention."""
    alerts: AlertSettings = Field(default=AlertSettings(), exclude=True)
    """Who is told when a run stops."""
    exposures: ExposureSettings = Field(default=ExposureSettings(), exclude=True)
    """What is kept of the answers that users got."""
    serve: ServeSettings = Field(default=ServeSettings(), exclude=True)
    """Bounds of the look-up service."""
    outcomes: OutcomeSettings = Field(default=OutcomeSettings(), exclude=True)
    """How it is measured what users did with their lists."""
    experiment: JudgingSettings = Field(default=JudgingSettings(), exclude=True)
    """By what an experiment is judged."""

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.lists.fallback_size < self.lists.n:
            raise ValueError(f"lists.fallback_size {self.lists.fallback_size} is smaller than lists.n {self.lists.n}")
        return self
