"""Where the numbers of `discovery plan` come from: the newest run, or Parquet footers of the audience; no Spark."""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from conf.connections import KafkaConnection
from conf.errors import ConfigError, DiscoveryError
from conf.settings import Settings
from conf.share import EVERYBODY, NOBODY, Share
from conf.windows import Window
from features.errors import FeaturesError, MissingDatasetError
from features.reading.impressions import check_impressions
from jobs.experiments.store import ExperimentStore
from jobs.storage.datasets import open_catalog
from jobs.storage.store import Storage
from publish.connect.redis_clients import StoreClient
from publish.connect.topics import check_partitions, warn_of_retention
from publish.errors import TopicMismatch
from publish.operate.control import Control
from publish.operate.plan import TYPICAL_RATE, PlannedLists, PushPlan, Rate, lists_like, loading_rate, plan
from publish.runs.run import RegisteredRun
from publish.store.capacity import DeclaredLimits, estimate_bytes, read_limits
from publish.wire.keys import ProductKeys

_VARINT_BYTES = {"int64": 5, "string": 14}
"""Bytes of an encoded source id where there is no run: an id below 2³⁵, or a name of 12 letters with tag and length."""
_SCORE_BYTES = 4
_LATELY = "7 days ago:today"


@dataclass(frozen=True)
class Shown:
    """The impressions of a week."""

    window: str
    days: int = 0
    """Days with rows."""
    rows: int = 0
    fault: str | None = None
    """Why no click-through rate can be made of it."""


def plan_push(
    settings: Settings,
    home: Storage,
    client: StoreClient | None,
    *,
    users: int | None = None,
    share: Share | None = None,
    declared: DeclaredLimits,
    kafka: KafkaConnection | None = None,
) -> PushPlan:
    """Returns the cost of a push: of `users` lists, as the newest run or for the audience; raises ConfigError."""
    covered = share if share is not None else settings.rollout.share
    control = None if client is None else Control.connect(client, settings.product)
    runs = () if control is None else control.registry.list_runs()
    unneeded = () if control is None else control.housekeeping.unneeded()
    lists = _lists(settings, home, runs, users, covered)
    return plan(
        settings.product,
        lists,
        settings.publish,
        _rate(control, runs),
        limits=None if client is None else read_limits(client, declared),
        clearable=sum(estimate_bytes(run.announcement) for run in unneeded),
        topic_fault=None if kafka is None else _topic_fault(kafka, settings),
        control=_control(settings, home, lists, covered),
    )


def _control(settings: Settings, home: Storage, lists: PlannedLists, share: Share) -> PlannedLists | None:
    """Returns the lists of the control of the open experiment, which covers everybody; None without one."""
    experiment = ExperimentStore.of(home, settings.product).find_open()
    if experiment is None or experiment.control == "none" or share == NOBODY:
        return None
    records = lists.records * int(EVERYBODY) // int(share)
    return PlannedLists(records, lists.record_bytes, f"the control of experiment {experiment.name}")


def _topic_fault(kafka: KafkaConnection, settings: Settings) -> str | None:
    keys = ProductKeys(settings.product)
    try:
        check_partitions(kafka, keys, settings.publish)
    except TopicMismatch as mismatch:
        return str(mismatch)
    warn_of_retention(kafka, keys, settings.publish, settings.exposures)
    return None


def _lists(
    settings: Settings, home: Storage, runs: Sequence[RegisteredRun], users: int | None, share: Share
) -> PlannedLists:
    newest = next((run for run in reversed(runs) if run.announcement.role == "treatment"), None)
    if newest is not None:
        like = lists_like(newest, share)
        return like if users is None else PlannedLists(users, like.record_bytes, f"--users, and lists {like.basis}")
    mean = _mean_bytes(settings)
    if users is not None:
        return PlannedLists(users, mean, f"--users, and full lists of {settings.lists.n}")
    audience = audience_of(settings, home)
    if audience is None:
        raise ConfigError(
            f"{settings.product} has no run yet and no audience dataset that could be counted: say --users N"
        )
    day, rows = audience
    return PlannedLists(
        rows * int(share) // 10_000, mean, f"the audience of {day}, and full lists of {settings.lists.n}"
    )


def _mean_bytes(settings: Settings) -> float:
    """Returns the bytes of key and payload of a full list, as the settings have it."""
    key = 10 if settings.ids == "int64" else 16
    scores = _SCORE_BYTES if settings.publish.scores else 0
    return key + settings.lists.n * (_VARINT_BYTES[settings.ids] + scores) + 6


def audience_of(settings: Settings, home: Storage) -> tuple[str, int] | None:
    """Returns the newest finished day of the audience that has rows, and their number; None without one."""
    dataset = settings.datasets.audience
    if dataset is None:
        return None
    catalog = open_catalog(settings, home)
    with suppress(MissingDatasetError):
        for day in reversed(catalog.days(dataset)):
            for partition in catalog.partitions(dataset, (day,)).finished:
                if partition.rows:
                    return str(day), partition.rows
    return None


def known_users(settings: Settings, home: Storage, runs: Sequence[RegisteredRun]) -> int | None:
    """Returns the users of the newest audience, else those of the newest run at full share; None: there is neither."""
    with suppress(DiscoveryError):  # whoever asks goes on without it
        if (audience := audience_of(settings, home)) is not None:
            return audience[1]
    known = (run.announcement for run in reversed(runs))
    newest = next((run for run in known if run.role == "treatment" and run.share_bp > NOBODY), None)
    return None if newest is None else newest.users * EVERYBODY.bp // newest.share_bp.bp


def shown_lately(settings: Settings, home: Storage, today: dt.date) -> Shown | None:
    """Returns what the dataset `impressions` holds of the last week; None for a product without it."""
    dataset = settings.datasets.impressions
    if dataset is None:
        return None
    window = Window.parse(_LATELY, today)
    try:
        plan = check_impressions(dataset, window, settings.ids, open_catalog(settings, home))
    except FeaturesError as fault:
        return Shown(str(window), fault=str(fault))
    return Shown(str(window), len(plan.found), plan.rows)


def _rate(control: Control | None, runs: Sequence[RegisteredRun]) -> Rate:
    """Returns the rate of the newest run that was loaded whole."""
    for run in reversed(runs):
        if control is None or run.status.cleared is not None:
            continue
        rate = loading_rate(control.lifecycle.store.progress(run.announcement))
        if rate is not None:
            return Rate(rate, f"as run {run.name} was loaded")
    return Rate(TYPICAL_RATE, "assumed; no run of this product was measured yet")
