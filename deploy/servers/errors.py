"""Errors of the local stack.

StackError(DiscoveryError)
├── JavaNotFound             no Java 17 or newer on this machine
├── JarError
│   ├── JarFetchFailed       a jar could not be downloaded
│   └── JarHashMismatch      a downloaded jar has another hash than the lock file
├── ServerError
│   ├── ServerBinaryNotFound no redis-server, no jars of Hadoop, or no Spark on this machine
│   ├── ServerStartFailed    a server ended, or did not answer in time, while it started
│   ├── ServerNotRunning     only a started server has a port and a pid
│   └── FolderInUse          another live server writes to the same data folder
└── StackFileError           stack.json cannot be read
"""

from conf.errors import DiscoveryError


class StackError(DiscoveryError):
    """Anything the local stack refuses or fails to do."""


class JavaNotFound(StackError):
    """No Java 17 or newer on this machine."""


class JarError(StackError):
    """Jars are missing or differ from the lock file."""


class JarFetchFailed(JarError):
    """A jar could not be downloaded."""


class JarHashMismatch(JarError):
    """A downloaded jar has another hash than the lock file."""


class ServerError(StackError):
    """A server cannot be started or asked."""


class ServerBinaryNotFound(ServerError):
    """The program of a server is not installed."""


class ServerStartFailed(ServerError):
    """A server ended, or did not answer in time, while it started."""


class ServerNotRunning(ServerError):
    """The port or pid of a server was asked for before it started."""


class FolderInUse(ServerError):
    """Another live server writes to the same data folder."""


class StackFileError(StackError):
    """`stack.json` cannot be read."""
