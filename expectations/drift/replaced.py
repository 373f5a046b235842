"""Fixed limits of changes against one run before: they hold until the history allows limits learned from it."""

from collections.abc import Collection, Sequence
from typing import Final

from expectations.checks import Check, Skip

_REPLACED: Final = {
    "max_change_of_subscriptions": ("subscriptions.rows", "subscriptions.users"),
    "max_change_of_sources": ("sources.rows",),
    "max_change_of_eligible_share": ("sources.ineligible",),
    "max_change_of_blocks": ("blocks.rows", "blocks.users"),
    "max_change_of_audience": ("audience.rows", "audience.users"),
    "max_change_of_rows": ("interactions.rows", "interactions.users", "interactions.sources"),
    "max_change_of_mean": ("interactions.mean_weight",),
    "max_change_of_quantiles": ("interactions.median_weight", "interactions.p99_weight"),
    "max_divergence": ("interactions.mean_weight", "interactions.median_weight", "interactions.p99_weight"),
    "max_change_of_lists": ("lists.lists",),
}
"""Limit → the statistics that take its place when all of them are judged and can stop the run."""
_OF_EACH_DATASET: Final = {"max_change_of_new_days": ("events", "users")}
"""Likewise, of every event dataset."""


def without_replaced(checks: Sequence[Check], learned: Collection[str], events: Collection[str]) -> list[Check]:
    """Returns the checks; a limit that learned ones replace is skipped.

    learned: full names of the statistics whose limits are learned and stop runs; events: names of event datasets.
    """

    def kept(check: Check) -> Check:
        names = _REPLACED.get(check.name, ())
        names += tuple(f"{dataset}.{name}" for name in _OF_EACH_DATASET.get(check.name, ()) for dataset in events)
        if names and {*names} <= {*learned} and not isinstance(check, Skip):
            return Skip(check.name, f"learned limits hold: {', '.join(names)}")
        return check

    return [kept(check) for check in checks]
