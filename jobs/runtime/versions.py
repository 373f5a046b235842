"""Which code, which libraries and which machine made a run."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

_LIBRARIES = (
    "pyspark",
    "implicit",
    "numpy",
    "scipy",
    "numba",
    "pyarrow",
    "confluent-kafka",
    "redis",
    "great-expectations",
)
CHANGES = "+changes"
"""Ends the version of code that is not quite that of the commit: what differs is not known."""
MACHINE = ("python", "platform", "blas", "cores")
"""Names in `library_versions` that are no library's; cores: what `train.threads: 0` means."""


def code_version() -> str:
    """DISCOVERY_CODE_VERSION, else the git commit (`+changes` when the tree differs), else the package's version."""
    if named := os.environ.get("DISCOVERY_CODE_VERSION"):
        return named
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return importlib.metadata.version("discovery")
    return commit + (CHANGES if _git("status", "--porcelain", "--untracked-files=no") else "")


def library_versions() -> dict[str, str]:
    """Returns versions of the libraries that shape the result, and of what they run on."""
    libc = " ".join(platform.libc_ver())
    return {
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()} {libc}".rstrip(),
        "blas": _blas(),
        "cores": str(os.cpu_count()),
    }


def _blas() -> str:
    """Returns the kernels that the CPU gets, which round in their own ways: `openblas SkylakeX`."""
    import scipy.linalg  # noqa: F401  # both here: only what is loaded is listed
    from threadpoolctl import threadpool_info

    kernels = {
        f"{found['internal_api']} {found.get('architecture', '')}".rstrip()
        for found in threadpool_info()
        if found["user_api"] == "blas"
    }
    return ", ".join(sorted(kernels)) or "none"


def _git(*words: str) -> str:
    try:
        here = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
