"""What a person on call must know of a gate that stopped a run."""

from dataclasses import dataclass

from expectations.drift.checks import DriftProfile, sentence
from expectations.drift_message import causes, ways_on
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile
from expectations.report import GateReport


@dataclass(frozen=True)
class Stopped:
    """Why a gate stopped a run, and how to go on."""

    cause: str
    """One sentence, which is in the gate's error too."""
    also: tuple[str, ...]
    """Names of further expectations that failed."""
    users: int | None
    """Users who would get lists of the run; None: not known."""
    commands: tuple[str, ...]
    """Ways to go on, beside a new run on data that were delivered again."""


def stopped_by(report: GateReport) -> Stopped:
    """Returns why a gate that failed stopped the run."""
    profile = report.profile
    if isinstance(profile, DriftProfile):
        first, *others = causes(report, profile)
        commands = tuple(command for _, command in ways_on(first, report, profile))
        return Stopped(sentence(first), tuple(one.full_name for one in others), profile.users, commands)
    worst, *rest = report.failed
    return Stopped(
        cause=f"{worst.name} is {worst.observed}, allowed: {worst.allowed}",
        also=tuple(row.name for row in rest),
        users=profile.users if isinstance(profile, InteractionProfile | ListProfile) else None,
        commands=tuple(f'start a new run with --override {row.name}="…"' for row in report.failed if not row.protected),
    )
