"""Findings as metrics for people who compare runs: how far each statistic is from what was expected of it."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from expectations.drift.findings import Finding
from expectations.drift.statistics import Scale, statistic
from expectations.drift.weeks import WEEK

PREFIX = "drift."
_MOST = 500
"""Findings that become metrics, of those that deviate most: tracking servers take 1,000 metrics at once."""
_LONGEST = 250
_ILLEGAL = re.compile(r"[^\w.-]")
_TINY = 1e-12


def _logit(share: float) -> float:
    part = min(max(share, _TINY), 1 - _TINY)
    return math.log(part / (1 - part))


def _log(value: float) -> float:
    return math.log(max(value, _TINY))


_ON_SCALE: Mapping[Scale, Callable[[float], float]] = {
    "count": _log,
    "ratio": _log,
    "share": _logit,
    "days": lambda days: _log(days + WEEK),
    "plain": float,
}
"""What puts the values of a finding onto the scale on which its limits are as far below as above."""


def deviation(finding: Finding) -> float | None:
    """Returns how far the value is from the expected one, in units of the way to the limit; None if there is no limit.

    ±1 is the limit, the sign is the direction. It compares statistics of any scale, and unlike a probability it says
    up or down and where the limit is. A statistic with one limit may go farther to its other side and be no alarm.
    """
    one = statistic(finding.kind, finding.name)
    limit = finding.high if finding.low is None else finding.low
    if one is None or finding.value is None or finding.expected is None or limit is None:
        return None
    found, expected, edge = (_ON_SCALE[one.scale](value) for value in (finding.value, finding.expected, limit))
    return None if edge == expected else (found - expected) / abs(edge - expected)


def drift_metrics(findings: Sequence[Finding]) -> dict[str, float]:
    """Returns `drift.SUBJECT.NAME` → deviation of each statistic that was judged, under names that MLflow accepts.

    Names that become the same there share a metric: the one that deviates most.
    """
    judged = [(one.full_name, deviation(one)) for one in findings if one.state in ("ok", "alarm")]
    known = sorted((abs(value), _legal(name), value) for name, value in judged if value is not None)
    return {name: value for size, name, value in known[-_MOST:] if math.isfinite(size)}


def _legal(name: str) -> str:
    return f"{PREFIX}{_ILLEGAL.sub('_', name)}"[:_LONGEST]
