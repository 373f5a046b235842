"""Colours and words that several dashboards share."""

from typing import Final

from deploy.monitoring.panels import Steps, Words

DAYS: Final = "suffix: days"
ANY: Final[Steps] = ((1, "red"),)
"""One of it is bad."""
SOME: Final[Steps] = ((1, "orange"),)
"""One of it is worth a look."""
PERIODS: Final[Steps] = ((1.25, "orange"), (2.25, "red"))
"""Since a run succeeded, in periods of the schedule."""
BAD: Final[Words] = {0: ("no", "green"), 1: ("yes", "red")}
GOOD: Final[Words] = {1: ("yes", "green"), 0: ("no", "red")}
UP: Final[Words] = {1: ("up", "green"), 0: ("down", "red")}
PASSED: Final[Words] = {1: ("passed", "green"), 0: ("failed", "red")}
RUN: Final[Words] = {1: ("a run", "green"), 0: ("nothing", "red")}
HELD: Final[Words] = {0: ("no", "green"), 1: ("held", "orange")}
