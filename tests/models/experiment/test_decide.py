"""Wins by Holm over sequential tests, intervals of any look, guardrails."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import default_rng

from models.experiment.decide import ALPHA, Guardrail, Looks, decided, harm_of
from models.experiment.effects import Effect, Week, effect_of
from models.experiment.moments import Moments, Slice, slices_at, variables_of


def experiment(lift: float, shares: Sequence[int], users: int = 200_000, seed: int = 1) -> dict[Slice, Moments]:
    rng = default_rng(seed)
    variables = variables_of(len(shares), ratio=False)
    found = {}
    for part in slices_at(shares):
        count = users * part.width_bp // 10_000
        habit = rng.normal(10, 3, count)
        rows = np.ones((count, len(variables)))
        for week in range(len(shares) + 1):
            is_treated = week > 0 and part.is_treated(shares[week - 1])
            rows[:, 2 * week + 1] = (habit + rng.normal(0, 3, count)) * (1 + lift * is_treated)
        found[part] = Moments.of(variables, rows)
    return found


def looks(lift: float, *, weeks: int = 3, planned: float = 1.0, is_last: bool = False, seed: int = 1) -> Looks:
    shares = [2_500] * weeks
    moments = experiment(lift, shares, seed=seed)
    every = [Week(number, share) for number, share in enumerate(shares, 1)]
    effects = tuple(
        some for some in (effect_of(moments, every[:last]) for last in range(1, weeks + 1)) if isinstance(some, Effect)
    )
    return Looks(effects, (planned / effects[-1].difference.variance,) * weeks, is_last=is_last)


def test_an_effect_is_decided_and_its_interval_holds_it() -> None:
    won = looks(0.02)
    assert decided({"clicks": won}) == {"clicks"}
    interval = won.lift_interval()
    assert interval is not None
    assert interval.low < 0.02 < interval.high
    assert won.interval().low > 0


def test_nothing_is_decided_without_an_effect() -> None:
    assert decided({"clicks": looks(0.0), "joins": looks(0.0, seed=2)}) == frozenset()


def test_holm_leaves_the_error_of_a_decided_metric_to_the_others() -> None:
    strong, weak = looks(0.05), looks(0.0)
    z = max(abs(effect.difference.value / effect.difference.se) for effect in weak.effects)
    level = next(alpha for alpha in np.linspace(0.01, 0.99, 99) if weak.crossed(float(alpha)))
    assert z < 1.96
    assert decided({"a": strong, "b": weak}, float(level)) == {"a", "b"}
    assert decided({"b": weak, "c": weak}, float(level)) == frozenset()


def test_early_looks_are_wide_and_the_last_spends_the_rest() -> None:
    early, last = looks(0.0, planned=8.0), looks(0.0, planned=8.0, is_last=True)
    assert early.bounds().last > 3 > last.bounds().last
    assert last.bounds().spent[-1] == pytest.approx(0.97 * ALPHA / 2)
    assert early.interval().high - early.interval().low > last.interval().high - last.interval().low


def test_what_was_spent_early_leaves_the_last_interval_that_was_allowed() -> None:
    overrun = looks(0.0, planned=0.5)
    z = overrun.bounds().z
    assert math.isinf(z[-1])
    newest = max(look for look, bound in enumerate(z) if math.isfinite(bound))
    assert overrun.interval() == overrun.effects[newest].interval(z[newest])


@pytest.mark.parametrize(
    ("lift", "better", "state"),
    [
        (-0.05, "more", "broken"),
        (0.0, "more", "held"),
        (0.05, "more", "held"),
        (0.05, "less", "broken"),
        (0.0, "less", "held"),
    ],
)
def test_guardrails(lift: float, better: str, state: str) -> None:
    shares = [500, 2_500]
    weeks = [Week(1, 500), Week(2, 2_500)]
    guardrail = Guardrail("clicks", 0.01, better)  # type: ignore[arg-type]
    harm = harm_of(guardrail, experiment(lift, shares), weeks, cuped=True)
    assert harm.state == state
    assert harm.said.startswith("clicks ")
    assert f"margin {'-' if better == 'more' else '+'}1.0 %" in harm.said


def test_suspicion_is_no_proof() -> None:
    moments = experiment(-0.025, [500], users=60_000)
    harm = harm_of(Guardrail("clicks", 0.01), moments, [Week(1, 500)])
    assert harm.state == "suspected"
    assert "may be worse than the margin (p 0.0" in harm.said


def test_a_guardrail_without_data_is_unknown() -> None:
    harm = harm_of(Guardrail("clicks", 0.01), experiment(0.0, [100], users=5_000), [Week(1, 100)])
    assert (harm.state, harm.said) == (
        "unknown",
        "clicks: too few users: 50 in the treated arm, at least 500 are needed",
    )
