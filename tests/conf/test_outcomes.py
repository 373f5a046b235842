"""Settings of what is measured are no part of a run, and odd ones are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from conf.load import config_hash
from conf.outcomes import OutcomeSettings
from tests.features.world import settings


def test_they_are_no_part_of_the_settings_of_a_run() -> None:
    other = settings().model_copy(update={"outcomes": OutcomeSettings(horizon_days=3)})
    assert config_hash(other) == config_hash(settings())
    assert "outcomes" not in settings().model_dump()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"horizon_days": 15}, "less than or equal to 14"),
        ({"at": (5, 1)}, "ascending, e.g. "),
        ({"at": ()}, "at least one place"),
        ({"at": (0,)}, "greater than or equal to 1"),
        ({"robots": {"max_events_per_day": 0}}, "greater than or equal to 1"),
        ({"robots": {"max": 5}}, "Extra inputs are not permitted"),
    ],
)
def test_odd_ones_are_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        OutcomeSettings.model_validate(keys)
