"""Finds a Java that can run Kafka."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.servers.errors import JavaNotFound

MINIMUM_VERSION = 17
_VERSION = re.compile(r'version "((?:1\.)?(\d+)[^"]*)"')
_ADVICE = (
    f"Java {MINIMUM_VERSION} or newer is needed to run Kafka: install a JRE such as Debian's "
    "openjdk-17-jre-headless, or set JAVA_HOME to one"
)


@dataclass(frozen=True)
class Java:
    """A `java` program and the version that it reports."""

    program: Path
    full_version: str
    version: int


def find_java(environ: Mapping[str, str] = os.environ) -> Java:
    """Returns the first `java` of version 17 or newer in JAVA_HOME and PATH. Raises JavaNotFound if there is none."""
    found = []
    for program in _candidates(environ):
        java = _ask_version(program)
        if java is not None and java.version >= MINIMUM_VERSION:
            return java
        found.append(f"{program} ({'reports no version' if java is None else 'is ' + java.full_version})")
    raise JavaNotFound(f"{_ADVICE}. Found: {', '.join(found) or 'no java in JAVA_HOME or PATH'}.")


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("JAVA_HOME")
    if home and (program := Path(home) / "bin" / "java").exists():
        yield program
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path)


def _ask_version(program: Path) -> Java | None:
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stderr + answer.stdout)
    return Java(program, full_version=match[1], version=int(match[2])) if match else None
