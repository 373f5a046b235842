"""Who acts, in words that are kept with what was done: in the pointer's history and in manifests."""

import getpass
import os
import socket


def person() -> str:
    """Returns the user of this process at this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user whom the system does not know
        user = f"uid-{os.getuid()}"
    return _at_this_machine(user)


def service(name: str) -> str:
    """Returns a service of ours at this machine, e.g. loader@host."""
    return _at_this_machine(name)


def _at_this_machine(name: str) -> str:
    text = f"{name}@{socket.gethostname()}"
    return text.encode(errors="replace").decode()  # a name from the environment may be no UTF-8
