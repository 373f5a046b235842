"""Names of who acts, for the pointer's history and for manifests."""

import getpass
import os
import socket


def person() -> str:
    """Returns `user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user whom the system does not know
        user = f"uid-{os.getuid()}"
    return _at_this_machine(user)


def service(name: str) -> str:
    """Returns `name@host` of one of our services, e.g. loader@host."""
    return _at_this_machine(name)


def _at_this_machine(name: str) -> str:
    text = f"{name}@{socket.gethostname()}"
    return text.encode(errors="replace").decode()  # a name from the environment may be no UTF-8
