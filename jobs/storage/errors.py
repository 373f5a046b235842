"""Errors of a storage.

StorageError
├── NoAnswer            the storage is down, refuses us, or does not answer in time
├── UnreadableFolder    a folder cannot be listed, or holds a name that is not UTF-8 (a Refused: exit code 2)
├── AlreadyFinished     a finished table is never written again
└── NotFinished         the table has no marker
"""

from conf.errors import DiscoveryError, Refused


class StorageError(DiscoveryError):
    """A storage cannot do what it was asked for."""


class NoAnswer(StorageError):
    """The storage is down, refuses us, or does not answer in time."""


class UnreadableFolder(Refused, StorageError):
    """The names in a folder cannot be read."""


class AlreadyFinished(StorageError):
    """The table is finished and therefore immutable."""


class NotFinished(StorageError):
    """The table does not exist or was not written completely."""
