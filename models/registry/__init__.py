"""Runs and model versions in MLflow; no other module talks to it."""

from models.registry.records import CHALLENGER, CHAMPION, MODEL_CARD, PREVIOUS, LoggedRun, RunInput, RunRecord, Version
from models.registry.store import ModelRegistry
from models.registry.trials import StudyRun, TrialRecord, Trials

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "MODEL_CARD",
    "PREVIOUS",
    "LoggedRun",
    "ModelRegistry",
    "RunInput",
    "RunRecord",
    "StudyRun",
    "TrialRecord",
    "Trials",
    "Version",
]
