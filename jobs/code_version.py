"""Which code and which libraries made a run."""

import importlib.metadata
import os
import subprocess
from pathlib import Path

_LIBRARIES = ("pyspark", "implicit", "numpy", "scipy", "pyarrow", "confluent-kafka", "redis", "great-expectations")


def code_version() -> str:
    """DISCOVERY_CODE_VERSION, else the git commit (`+changes` when the tree differs), else the package's version."""
    if named := os.environ.get("DISCOVERY_CODE_VERSION"):
        return named
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return importlib.metadata.version("discovery")
    return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the result."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _git(*words: str) -> str:
    try:
        here = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
