"""Runs and model versions in MLflow; no other module talks to it."""

from models.registry.records import CHALLENGER, CHAMPION, PASSPORT, PREVIOUS, LoggedRun, RunInput, RunRecord, Version
from models.registry.store import Registry
from models.registry.trials import StudyRecord, TrialRecord, Trials

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PASSPORT",
    "PREVIOUS",
    "LoggedRun",
    "Registry",
    "RunInput",
    "RunRecord",
    "StudyRecord",
    "TrialRecord",
    "Trials",
    "Version",
]
