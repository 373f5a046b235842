"""Applies the gate's own checks to a week without calling Great Expectations for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.gates.past import Newest, Past, Snapshots, date_of
from expectations.checks import Between, Check
from expectations.inputs import InputProfile, ServedInputs, input_checks
from expectations.interactions import InteractionProfile, interaction_checks


@dataclass(frozen=True)
class Measured:
    """The profiles that the gate measures of one run."""

    run: int
    inputs: InputProfile
    interactions: InteractionProfile


@dataclass(frozen=True)
class FailedChecks:
    """Names of the checks that a run fails."""

    interactions: tuple[str, ...]
    """Checks on the interactions."""
    inputs: tuple[str, ...]
    """Checks on the inputs."""


def measure(past: Past, run: int, newest: Newest, snapshots: Snapshots) -> Measured:
    """Returns the profiles of a run."""
    return Measured(run, past.inputs(run, newest, snapshots), past.interactions(run, newest))


def judge(past: Past, now: Measured, before: Measured) -> FailedChecks:
    """Returns the checks that the run `now` fails while `before` serves."""
    day, served = date_of(now.run), ServedInputs(date_of(before.run), before.inputs)
    old = interaction_checks(now.interactions, past.gates.interactions, before.interactions, past.ids, day)
    return FailedChecks(_failed(old), _failed(input_checks(now.inputs, past.gates.inputs, served, day)))


def _failed(checks: Sequence[Check]) -> tuple[str, ...]:
    return tuple(check.name for check in checks if isinstance(check, Between) and not holds(check))


def holds(check: Between) -> bool:
    """Returns whether the check passes, as Great Expectations decides (a test compares them)."""
    value, low, high = check.value, check.low, check.high
    return value is not None and (low is None or low <= value) and (high is None or value <= high)
