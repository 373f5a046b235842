"""Judges what is published: final lists and the truth of the held-out days → one table of figures.

1. `known`      what the judged training knew of the sources; a list that holds others is a leak, and is refused
2. `evidence`   the truth, interactions and exclusions of each judged user, gathered once for what follows
3. `item_knn`, `knn_lists`   the baseline beside ours, as final lists
4. `users`      lists of all arms + truth → one row per judged user (`contract.judged_users`)
5. `bootstrap`  rows → means with intervals, per segment, without collecting users
6. `judgement`  all figures of all arms, differences of arms paired by user, flat names for manifest and registry
7. `table`      the figures as text
8. `acceptance` the rule by which a challenger replaces the champion

`models.metrics` defines the metrics of one user.
"""

from models.judge.acceptance import accept
from models.judge.bootstrap import ALL, Estimate
from models.judge.evidence import gather_judged
from models.judge.item_knn import Neighbours
from models.judge.judgement import NEW, FigureKey, Judgement, Spread, judge
from models.judge.knn_lists import knn_lists
from models.judge.known import KnownSources, new_from
from models.judge.table import table_of
from models.judge.users import CHAMPION, ITEM_KNN, OURS, POPULARITY, POPULARITY_SIZE, JudgeInputs, judge_users

__all__ = [
    "ALL",
    "CHAMPION",
    "ITEM_KNN",
    "NEW",
    "OURS",
    "POPULARITY",
    "POPULARITY_SIZE",
    "Estimate",
    "FigureKey",
    "JudgeInputs",
    "Judgement",
    "KnownSources",
    "Neighbours",
    "Spread",
    "accept",
    "gather_judged",
    "judge",
    "judge_users",
    "knn_lists",
    "new_from",
    "table_of",
]
