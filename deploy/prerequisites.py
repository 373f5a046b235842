"""Checks what must be on the machine before an installation: Python 3.11 and Java 17. Standard library only."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))


def main() -> int:
    """Prints what is missing and how to get it. Returns the exit code: 0 when nothing is missing."""
    if sys.version_info < (3, 11):  # noqa: UP036  this runs before anything could require it
        found = ".".join(str(part) for part in sys.version_info[:2])
        sys.stderr.write(
            f"Python 3.11 or newer is needed, this is {found}; install one and run: make PYTHON=python3.11 …\n"
        )
        return 1
    if sys.version_info >= (3, 13) and not (shutil.which("cc") and shutil.which("make")):
        sys.stderr.write(
            "For Python 3.13 and newer there is no ready-made Redis server among the packages: it is built when it is "
            "installed, which needs a C compiler and make; install them, or run: make PYTHON=python3.12 …\n"
        )
        return 1
    try:
        import ensurepip  # noqa: F401  Debian packages it apart
        import venv  # noqa: F401
    except ImportError:
        sys.stderr.write("Python's venv module is missing; install it (Debian: apt-get install python3-venv)\n")
        return 1
    from deploy.servers.errors import StackError
    from deploy.servers.java import find_java

    try:
        find_java()
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
