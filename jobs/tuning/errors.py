"""Errors of a study.

StudyError(Refused)     exit code 2
├── NotEnoughHistory    there is too little data before the hold-out to choose by
├── StudyConflict       the study was begun with other settings or data
└── StudyTaken          another process works on it
"""

from conf.errors import Refused


class StudyError(Refused):
    """The study cannot be worked on as requested."""


class NotEnoughHistory(StudyError):
    """The datasets hold too few days before the hold-out to choose by."""


class StudyConflict(StudyError):
    """The name belongs to a study with other settings or data."""


class StudyTaken(StudyError):
    """Another process works on the study."""
