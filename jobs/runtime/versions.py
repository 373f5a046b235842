"""The versions of code, libraries and machine that made a run."""

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
"""Suffix of a code version whose tree differs from the commit in unknown ways."""
MACHINE = ("python", "platform", "blas", "cores")
"""Names in `library_versions` that are no libraries; cores: what `train.threads: 0` means."""


def code_version() -> str:
    """Returns DISCOVERY_CODE_VERSION, else the git commit (`+changes` if the tree differs) or package version."""
    if named := os.environ.get("DISCOVERY_CODE_VERSION"):
        return named
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return importlib.metadata.version("discovery")
    return commit + (CHANGES if _git("status", "--porcelain", "--untracked-files=no") else "")


def library_versions() -> dict[str, str]:
    """Returns the versions of the libraries that shape the result, and of the platform."""
    libc = " ".join(platform.libc_ver())
    return {
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()} {libc}".rstrip(),
        "blas": _blas(),
        "cores": str(os.cpu_count()),
    }


def _blas() -> str:
    """Returns the BLAS kernels for this CPU, such as `openblas SkylakeX`, which round differently."""
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
