"""MLFLOW_TRACKING_URI: checks the address, and hides its secrets where it is shown."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import RegistryRefused

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Kinds of stores behind a network, and their usual ports."""
_FORMS = (
    "set MLFLOW_TRACKING_URI to http://host:port or https://… of an MLflow server, to postgresql://, mysql:// or "
    "mssql://… of its database, or to sqlite:///file; or leave it unset, and the work folder holds one"
)


def shown(uri: str) -> str:
    """Returns the address without credentials and options."""
    address = uri.partition("?")[0]
    try:
        netloc = urlsplit(address).netloc
    except ValueError:
        return "***"
    return address.replace(netloc, netloc.rpartition("@")[2], 1) if netloc else address


def password_of(uri: str) -> str | None:
    """Returns the password in the address, which must not be shown; None without one."""
    try:
        return urlsplit(uri).password
    except ValueError:
        return None


def file_of(uri: str) -> Path | None:
    """Returns the SQLite file, as SQLAlchemy reads the address; None for any other store."""
    scheme, _, rest = uri.partition(":///")
    path = unquote(rest.partition("?")[0])
    return Path(path).absolute() if scheme.partition("+")[0] == "sqlite" else None


def server_of(uri: str) -> tuple[str, int] | None:
    """Returns the host and port that must answer; None for a file. Raises RegistryRefused for an impossible address."""
    kind = uri.partition("://")[0].partition("+")[0]
    file = file_of(uri)
    if file is not None and (uri.endswith("/") or file.is_dir()):
        raise RegistryRefused(f"MLflow at {shown(uri)}: that is a folder, not a file; {_FORMS}")
    if file is not None:
        return None
    if kind not in _PORTS or "://" not in uri:
        raise RegistryRefused(f"MLflow at {shown(uri)}: the runs of a product cannot be kept there; {_FORMS}")
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None:
        raise RegistryRefused(f"MLflow at {shown(uri)}: that names no host, or a port that is not a number; {_FORMS}")
    return host, port if port is not None else _PORTS[kind]
