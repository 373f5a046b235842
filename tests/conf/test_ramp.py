"""Settings of the ramp: percentages as shares, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from conf.load import config_hash
from conf.ramp import RampSettings
from conf.settings import Settings
from conf.share import Share
from tests.conf.fields import TREE


def test_steps_are_percentages_down_to_a_basis_point() -> None:
    ramp = RampSettings.model_validate({"steps": [0.01, 1, 12.5, 95]})
    assert ramp.steps == (Share(1), Share(100), Share(1_250), Share(9_500))
    assert (ramp.approve, ramp.guardrails) == ("manual", {})
    assert RampSettings.model_validate(ramp.model_dump(mode="json")) == ramp


def test_a_ramp_is_no_part_of_a_run() -> None:
    with_ramp = Settings.model_validate(TREE)
    without = Settings.model_validate({**TREE, "rollout": {}})
    assert with_ramp.rollout.ramp is not None
    assert without.rollout.ramp is None
    assert config_hash(with_ramp) == config_hash(without)
    assert "ramp" not in with_ramp.model_dump(mode="json")["rollout"]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"steps": []}, "at least one percentage above 0"),
        ({"steps": [0, 5]}, "at least one percentage above 0"),
        ({"steps": [5, 1]}, "rising"),
        ({"steps": [5, 5]}, "each once"),
        ({"steps": [1, 100]}, "end below 100"),
        ({"steps": [1, 101]}, "less than or equal to 100"),
        ({"steps": [0.001]}, "finer than a basis point"),
        ({"steps": ["1"]}, "valid number"),
        ({"steps": [True]}, "valid number"),
        ({"approve": "auto"}, "name at least one, e.g. guardrails"),
        ({"approve": "never"}, "'manual' or 'auto'"),
        ({"guardrails": {"events": {"margin": 0}}}, "greater than 0"),
        ({"guardrails": {"events": {"margin": 1}}}, "less than 1"),
        ({"guardrails": {"events": {"better": "most"}}}, "'more' or 'less'"),
        ({"guardrails": {"": {}}}, "'' is no metric; there are amount, answers"),
        ({"guardrails": {"event": {}}}, "'event' is no metric"),
        ({"guardrail": {}}, "Extra inputs"),
    ],
)
def test_what_is_refused(tree: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RampSettings.model_validate(tree)
