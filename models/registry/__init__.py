"""Runs and model versions in MLflow; no other module talks to it."""

from models.registry.records import CHALLENGER, CHAMPION, PREVIOUS, LoggedRun, RunInput, RunRecord, Version
from models.registry.store import Registry

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PREVIOUS",
    "LoggedRun",
    "Registry",
    "RunInput",
    "RunRecord",
    "Version",
]
