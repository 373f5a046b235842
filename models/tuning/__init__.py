"""Searches for better training settings of a product, and evaluates the best.

1. `space`       which settings are searched, and between which bounds
2. `part`        interactions, truth and rules of one cut: the lists that factors would give, judged in one process
3. `search`      one trial after the other: suggest, train, judge, stop early what cannot win
4. `evaluation`  the best trial beside the present settings, with intervals, on days that no trial was chosen by
5. `proposal`    the evaluation as Markdown, and the change as YAML

Trials are chosen by the days before the hold-out. half_life_days, event weights and windows are not searched: they
shape the features, which are made once for all trials.
"""

from models.tuning.evaluation import Evaluation, SettingsComparison, changes_of, compare, mean_of
from models.tuning.part import Part
from models.tuning.proposal import ProposalContext, overlay_of, report_of
from models.tuning.search import FAILED, Search, Trial, best_of, open_search
from models.tuning.space import Space

__all__ = [
    "FAILED",
    "Evaluation",
    "Part",
    "ProposalContext",
    "Search",
    "SettingsComparison",
    "Space",
    "Trial",
    "best_of",
    "changes_of",
    "compare",
    "mean_of",
    "open_search",
    "overlay_of",
    "report_of",
]
