"""A product whose answers lie in the topic, and a folder to land them in."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.connections import KafkaConnection
from conf.settings import Settings
from jobs.exposures.landing import Landed, Landing
from jobs.exposures.store import LandingStore
from jobs.storage.store import Storage
from tests.features.world import settings
from tests.jobs.exposures.world import NOW
from tests.publish.support.exposing import new_exposing_product

Land = Callable[..., Landed]


@pytest.fixture
def product(kafka: KafkaConnection) -> str:
    return new_exposing_product(kafka)


@pytest.fixture
def ours(product: str) -> Settings:
    """Its settings, with files that are kept for ten days."""
    return Settings.model_validate(
        settings().model_dump(mode="json") | {"product": product, "exposures": {"keep_days": 10}}
    )


@pytest.fixture
def store(tmp_path: Path, product: str) -> LandingStore:
    return LandingStore.of(Storage(str(tmp_path / "home")), product)


@pytest.fixture
def land(kafka: KafkaConnection, store: LandingStore, ours: Settings) -> Land:
    """Lands as the command does, by a clock that stands still."""

    def now(at: LandingStore = store, clock: dt.datetime = NOW, **changes: Any) -> Landed:
        exposures = ours.exposures.model_copy(update=changes.pop("exposures", {}))
        changed = ours.model_copy(update={"exposures": exposures})
        return Landing(at, kafka, changed, clock=lambda: clock, **changes).land()

    return now
