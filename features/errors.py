"""Errors in the input of a run.

FeaturesError(Refused)      exit code 2
├── MissingDatasetError     the dataset's folder is not there, or is a file, or a table of another format
├── BrokenPartitionError    a file is truncated or not Parquet, or a partition holds what it must not
├── MissingDaysError        days of a window are missing, unfinished or empty
├── NotArrivedError         the same under `on_missing: wait` (also a NotYet: exit code 75)
├── SnapshotError           a snapshot is missing, too old, has unusable ids or the same source twice
├── SchemaError             a column is missing or of a wrong type, before any row is read
├── BadRowsError            more unusable rows in a day than the dataset's budget allows
├── UnknownEventsError      event names that are neither weighted nor ignored
└── WeightsError            weights that could add up to more than sums hold
"""

from conf.errors import NotYet, Refused


class FeaturesError(Refused):
    """The input cannot be turned into features."""


class MissingDatasetError(FeaturesError):
    """The folder of a dataset does not exist, or is not one of `dt=YYYY-MM-DD` with Parquet files."""


class BrokenPartitionError(FeaturesError):
    """A partition cannot be read as Parquet files."""


class MissingDaysError(FeaturesError):
    """A window has gaps that its dataset's policy does not allow."""


class NotArrivedError(NotYet, FeaturesError):
    """A window has gaps that may still be filled."""


class SnapshotError(FeaturesError):
    """A snapshot dataset has no usable current state."""


class SchemaError(FeaturesError):
    """A dataset lacks a column that the settings name, or has it with another type."""


class BadRowsError(FeaturesError):
    """Too many rows of a day are unusable."""


class UnknownEventsError(FeaturesError):
    """Event names occur that the settings neither weigh nor ignore."""


class WeightsError(FeaturesError):
    """The weights of a user and source could exceed what can be added exactly."""
