"""What is searched holds the settings that a product has, whatever they are."""

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import ConfigError
from conf.training import AlsSettings
from models.tuning import Space, changes_of

trained = st.builds(
    AlsSettings,
    factors=st.integers(1, 1024),
    iterations=st.integers(1, 30),
    alpha=st.floats(1e-3, 1e3),
    regularization=st.floats(1e-3, 10),
    source_damping=st.floats(0, 1),
    user_damping=st.floats(0, 1),
)


@given(trained, st.integers(0, 1024), st.integers(0, 2**20))
def test_every_suggestion_can_be_trained_with(present: AlsSettings, more: int, seed: int) -> None:
    space = Space.up_to(min(1024, present.factors + more), present)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    first: list[dict[str, Any]] = []
    for params in space.first:
        study.enqueue_trial(params)
        first.append(space.suggest(study.ask()))
    assert first == space.first  # in bounds, so that Optuna tries them as they are
    assert first[0] == space.params_of(present)
    tried = present.model_copy(update=space.suggest(study.ask()))
    assert AlsSettings.model_validate(tried.model_dump()) == tried
    assert tried.factors <= max(space.sizes) == min(1024, present.factors + more)


@given(trained)
def test_the_present_settings_are_no_change(present: AlsSettings) -> None:
    space = Space.up_to(present.factors, present)
    assert changes_of(space.params_of(present), present) == {}
    assert changes_of({"alpha": present.alpha * 2}, present).keys() == {"alpha"}


def test_settings_that_cannot_be_searched_are_refused() -> None:
    with pytest.raises(ConfigError, match="less than train"):
        Space.up_to(64, AlsSettings())
    with pytest.raises(ConfigError, match="logarithmic"):
        Space.up_to(128, AlsSettings(regularization=0))
