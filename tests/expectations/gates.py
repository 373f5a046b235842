"""The gates with small limits, on profiles by hand."""

import pytest

from conf.gates import GateSettings, InteractionGate
from expectations.errors import GateFailed
from expectations.gate import check_interactions, check_lists
from expectations.interactions import InteractionProfile
from expectations.lists import ListProfile
from expectations.report import GateReport
from tests.expectations.profiles import AS_OF

SETTINGS = GateSettings(interactions=InteractionGate(min_rows=1000, min_users=50, min_sources=10, max_weight=100))


def gate_1(profile: InteractionProfile, baseline: InteractionProfile | None = None, **overrides: str) -> GateReport:
    return check_interactions(lambda: profile, SETTINGS, baseline, overrides, ids="int64", as_of=AS_OF, run="r1")


def gate_2(
    profile: ListProfile, baseline: ListProfile | None = None, quality_ratio: float | None = 1.4, **overrides: str
) -> GateReport:
    return check_lists(lambda: profile, SETTINGS, baseline, overrides, ids="int64", quality_ratio=quality_ratio)


def failed(caught: pytest.ExceptionInfo[GateFailed]) -> list[str]:
    return [row.name for row in caught.value.report.failed]
