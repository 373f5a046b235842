"""Settings of one product: what `conf/<product>.yml` may say, with unit and effect of each field."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from conf.base import MAX_COUNT, MAX_DAYS, MAX_RATIO, Bytes, Flag, Number, Seed, Strict, Whole
from conf.datasets import Datasets
from conf.errors import ConfigError
from conf.gates import GateSettings
from conf.share import Share

MAX_EVENT_WEIGHT, MIN_EVENT_WEIGHT = 1e6, 1e-6
"""Sizes of the weight of one event: weights of pairs are added up in integers, which hold 2^-54 … 2^32."""
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
"""0, or from MIN_EVENT_WEIGHT to MAX_EVENT_WEIGHT in size."""


class InteractionSettings(Strict):
    """How events become one weight per (user, source): Σ weight of the event · 2^(−age_days / half_life_days)."""

    event_weights: dict[str, EventWeight] = Field(min_length=1)
    """Event name → weight, which may be 0 or negative; an event name that is neither here nor ignored stops the run."""
    half_life_days: Number = Field(default=7.0, ge=0.05, le=1e9)
    """Days after which an event counts half."""
    exclude_seen: Flag = True
    """Never recommend a source that the user has any event with in the windows."""


class SplitSettings(Strict):
    """The temporal hold-out on which a recipe is judged before it is refit on everything."""

    holdout_days: Whole = Field(default=2, ge=1, le=MAX_DAYS)
    """Days before `--as-of` that the judged model does not see; what users newly engage with in them is the truth."""
    min_users: Whole = Field(default=50, ge=1, le=MAX_COUNT)
    """Users with something new in the hold-out below which the recipe is not judged (and the manifest says so)."""


class JudgeSettings(Strict):
    """How the lists of a recipe are judged on the hold-out."""

    k: Whole = Field(default=20, ge=1, le=1000)
    """Places of a list that are looked at; lists are not longer than `lists.n`."""
    heavy_from: Whole = Field(default=10, ge=2, le=MAX_COUNT)
    """Interactions before the cut from which a user is heavy; with fewer they are light, without any cold."""
    new_source_days: Whole = Field(default=7, ge=1, le=MAX_DAYS)
    """Days before the cut within which a source was created, or first engaged with, to be a new one."""
    tolerance: Number = Field(default=0.02, ge=0, lt=1)
    """Share of the champion's NDCG by which a challenger may be worse, at the lower end of the interval, and serve."""
    replicates: Whole = Field(default=200, ge=20, le=10_000)
    """Bootstrap replicates behind the 95 % intervals."""
    seed: Seed = 7
    """Seed of the bootstrap and of the sample that `knn_products` asks for."""
    knn_neighbours: Whole = Field(default=100, ge=1, le=100_000)
    """Neighbours that the item-kNN beside ours keeps of each source."""
    knn_products: Whole = Field(default=20_000_000_000, ge=1, le=10**18)
    """Pairs of interactions that item-kNN may look at; beyond, it learns from a sample of the users, and says so."""


class TrainSettings(Strict):
    """The embeddings. The units of α, λ and damping are those of the data, so that the defaults hold for data of any
    size, density and scale; measured by `python -m benchmarks.quality`."""

    algorithm: Literal["als", "als_spark", "auto"] = "als"
    """Implicit-feedback alternating least squares (Hu, Koren, Volinsky 2008): `als` on one machine by the library
    `implicit`, `als_spark` on the cluster by Spark ML; `auto`: `als` as long as its memory fits `max_memory`."""
    factors: Whole = Field(default=128, ge=1, le=1024)
    """Dimensions of the embeddings; more of them help where the catalogue is large, and cost ranking time."""
    iterations: Whole = Field(default=5, ge=1, le=1000)
    """Alternations from a spectral start; each one solves for all users and all sources once."""
    warm_iterations: Whole = Field(default=2, ge=1, le=1000)
    """Alternations of a run that starts from the factors of the run that serves."""
    cold_every: Whole = Field(default=4, ge=1, le=1_000_000)
    """One run in so many starts anew, whatever serves; 1: every run does."""
    regularization: Number = Field(default=0.5, ge=0, le=1e6)
    """λ, in units of the noise level of the confidences: tastes weaker than that are left out; above 1 most are."""
    alpha: Number = Field(default=0.5, ge=1e-6, le=1e6)
    """α: confidence of an interaction is 1 + α / √density · weight / mean weight, density = interactions / pairs."""
    source_damping: Number = Field(default=0.4, ge=0, le=1)
    """Weights are divided by the interactions of their source to this power: above 0, fewer popular sources."""
    user_damping: Number = Field(default=0.4, ge=0, le=1)
    """Weights are divided by the interactions of their user to this power: above 0, heavy users count less."""
    seed: Seed = 7
    """Seed of the spectral start; the same seed, data and threads give the same factors bit for bit."""
    threads: Whole = Field(default=0, ge=0, le=4096)
    """Threads of the alternations; 0: every core of the machine."""
    max_memory: Bytes = 4 * 2**30
    """Bytes that training may need; a larger estimate is refused before it starts."""


class ListSettings(Strict):
    """The lists that users get."""

    n: Whole = Field(default=50, ge=1, le=1000)
    """Sources in a list, at most."""
    fallback_size: Whole = Field(default=200, ge=1, le=100_000)
    """Sources kept in the fallback list (the popular ones), so that personal exclusions still leave `n`."""
    max_per_category: Whole | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Sources of one category in a list, at most; null: no cap."""
    max_per_owner: Whole | None = Field(default=None, ge=1, le=MAX_COUNT)
    """Sources of one owner in a list, at most; null: no cap."""
    min_score: Number | None = Field(default=None, ge=-1e9, le=1e9)
    """Score below which a source is left out, even if the list stays short; null: no limit."""


class RolloutSettings(Strict):
    """Who is served by a run."""

    share: Number = Field(default=1.0, ge=0, le=1)
    """Fraction of the audience that a run computes and serves, in steps of 0.0001; `--audience-share` overrides it."""
    salt: str = "discovery-1"
    """Seasons the hash that assigns users to arms; another salt draws another share of the audience."""
    max_manual_share: Number = Field(default=0.25, ge=0, le=1)
    """Largest share of a run that no scheduler started."""
    max_change_of_users: Number = Field(default=0.5, gt=0, le=MAX_RATIO)
    """Relative change of users against the run that is replaced (share for share), at most, to promote."""

    @model_validator(mode="after")
    def _shares_are_basis_points(self) -> "RolloutSettings":
        try:
            for value in (self.share, self.max_manual_share):
                Share.fraction(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


class PublishSettings(Strict):
    """The way through Kafka into Redis."""

    partitions: Whole = Field(default=8, ge=1, le=4096)
    """Kafka partitions of the product's topic, which are the units of loading; fixed once the topic exists."""
    replication: Whole = Field(default=1, ge=1, le=1000)
    """Replicas of the topic, when the job creates it."""
    users_per_bucket: Whole = Field(default=100, ge=1, le=1_000_000)
    """Users that share one Redis hash; more than `hash-max-listpack-entries` would cost memory."""
    scores: Flag = True
    """Whether a list carries its scores."""
    retention_hours: Whole = Field(default=24 * 35, ge=1, le=24 * MAX_DAYS)
    """Hours that the topic keeps its messages; at least four runs, so that Redis can be rebuilt."""
    load_deadline_seconds: Whole = Field(default=3600, ge=1, le=_YEAR)
    """Seconds from BEGIN until the run must serve; then it is FAILED."""
    stall_seconds: Whole = Field(default=900, ge=1, le=_YEAR)
    """Seconds without any progress of a load until it is FAILED; more than a scheduler waits before it retries."""
    delivery_timeout_seconds: Whole = Field(default=120, ge=1, le=7 * 86_400)
    """Seconds within which the broker must acknowledge a record."""
    redis_replicas: Whole = Field(default=0, ge=0, le=1000)
    """Replicas of each Redis master that must have acknowledged a run before it may serve; all that a master has."""
    redis_maxmemory: Bytes | None = None
    """Bytes that Redis may fill, where its INFO does not tell; null: Redis tells."""
    redis_policy: Literal["noeviction"] | None = None
    """What Redis does when full, where its INFO does not tell; null: Redis tells."""


class SparkSettings(Strict):
    """Spark, where the command line or the cluster does not say otherwise."""

    shuffle_partitions: Whole = Field(default=8, ge=1, le=100_000)
    """Partitions of a shuffle before adaptive execution merges small ones; 2–4 per core."""
    user_block: Whole = Field(default=4096, ge=1, le=1_000_000)
    """Users ranked at once by a worker; bounds its memory, changes no result."""


class RunSettings(Strict):
    """The life of a run."""

    keep_runs: Whole = Field(default=4, ge=2, le=1_000_000)
    """Run folders kept in the work folder; older ones that nothing serves are deleted after a promotion."""
    partials_keep_days: Whole = Field(default=60, ge=1, le=MAX_DAYS)
    """Days before `--as-of` for which daily partials are kept."""


class Settings(Strict):
    """One product."""

    product: Annotated[str, AfterValidator(_product_name)]
    """Name of the product: of its topic, its Redis keys, its run folders and its DAG."""
    schedule: str | None = None
    """Cron expression in UTC of the weekly DAG; null: no DAG."""
    dag: dict[str, str | Whole | Number | Flag | None] = Field(default_factory=dict)
    """For the DAG file only: retries, time limits, pool; see `dags/products.py`."""
    ids: Literal["int64", "string"] = "int64"
    """Kind of user and source ids in every dataset of this product; strings have 1 … 255 bytes of UTF-8 without NUL."""
    data_root: str = "data"
    """Path, relative to DISCOVERY_HOME, or URI of the folder below which relative dataset paths lie."""
    datasets: Datasets
    """What the product reads."""
    interactions: InteractionSettings
    """Events → interactions."""
    split: SplitSettings = SplitSettings()
    """The temporal hold-out."""
    judge: JudgeSettings = JudgeSettings()
    """How the lists of a recipe are judged on it."""
    train: TrainSettings = TrainSettings()
    """Interactions → embeddings."""
    lists: ListSettings = ListSettings()
    """Embeddings → lists."""
    gates: GateSettings = GateSettings()
    """What must hold before anything is published."""
    rollout: RolloutSettings = RolloutSettings()
    """Who is served."""
    publish: PublishSettings = PublishSettings()
    """Lists → Redis."""
    spark: SparkSettings = SparkSettings()
    """Spark."""
    runs: RunSettings = RunSettings()
    """The life of a run."""

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.lists.fallback_size < self.lists.n:
            raise ValueError(f"lists.fallback_size {self.lists.fallback_size} is smaller than lists.n {self.lists.n}")
        return self
