"""What is wrong with a study.

StudyError(Refused)     exit code 2
├── NotEnoughHistory    there is too little before the hold-out to choose by
├── StudyConflict       the study was begun with other settings or data
└── StudyTaken          another process is at work on it
"""

from conf.errors import Refused


class StudyError(Refused):
    """The study cannot be worked on as asked."""


class NotEnoughHistory(StudyError):
    """The datasets do not hold enough to choose by other days than those of the hold-out."""


class StudyConflict(StudyError):
    """The name belongs to a study of other settings or data."""


class StudyTaken(StudyError):
    """Another process works on the study."""
