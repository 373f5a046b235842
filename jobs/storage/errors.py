"""What can be wrong with a storage.

StorageError
├── NoAnswer            the storage is away, refuses us, or gives no answer in time
├── UnreadableFolder    a folder cannot be listed, or holds a name that is not UTF-8 (a Refused: exit code 2)
├── AlreadyFinished     a finished table is never written again
└── NotFinished         the table's marker is not there
"""

from conf.errors import DiscoveryError, Refused


class StorageError(DiscoveryError):
    """Storage cannot do what was asked."""


class NoAnswer(StorageError):
    """The storage is away, refuses us, or gives no answer in time."""


class UnreadableFolder(Refused, StorageError):
    """The names in a folder cannot be read."""


class AlreadyFinished(StorageError):
    """The table is finished and therefore immutable."""


class NotFinished(StorageError):
    """The table does not exist or was not written to its end."""
