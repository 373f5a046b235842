"""A run that is resumed keeps the settings that it was begun with."""

import pytest

from conf.load import config_hash
from conf.settings import Settings
from jobs.run.manifest import Manifest
from jobs.run.open_run import RunConflict, _refuse_other_request
from tests.features.world import settings
from tests.jobs.runs import manifest_of

BEFORE = 100
"""Users per bucket by default, in the version that began the run."""


def product(**publish: int) -> Settings:
    return Settings.model_validate(settings().model_dump(mode="json") | {"publish": publish})


def begun_with(begun: Settings) -> Manifest:
    request = manifest_of().request.model_copy(update={"config_hash": config_hash(begun)})
    return manifest_of(request=request, settings=begun.model_dump(mode="json"))


def test_another_default_refuses_a_run_by_name_until_the_yaml_says_the_old_one() -> None:
    known, today = begun_with(product(users_per_bucket=BEFORE)), product()
    asked = known.request.model_copy(update={"config_hash": config_hash(today)})
    number = today.publish.users_per_bucket
    with pytest.raises(RunConflict, match=f"publish.users_per_bucket is {BEFORE} there and {number} here; repeat its"):
        _refuse_other_request(known, asked, today)
    _refuse_other_request(known, known.request, product(users_per_bucket=BEFORE))


def test_another_flag_is_named_without_the_settings() -> None:
    known = begun_with(product())
    with pytest.raises(RunConflict, match=r"something else: share_bp is .* there and .* here; repeat its"):
        _refuse_other_request(known, known.request.model_copy(update={"share_bp": 1}), product(users_per_bucket=BEFORE))
