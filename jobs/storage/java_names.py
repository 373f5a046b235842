"""Detects names of local files that the JVM cannot open: it encodes them by its locale, pyarrow in UTF-8."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from jobs.storage.errors import UnreadableFolder
from jobs.storage.store import Storage

_PROPERTY = "sun.jnu.encoding"
_SHOWN = re.compile(rf"{re.escape(_PROPERTY)} = (\S+)")
_UTF_8 = "UTF-8"
_SHOW_SECONDS = 60


def refuse_unnameable(name: str, at: Storage) -> None:
    """Raises UnreadableFolder if the JVM cannot open `name`, in or of the folder `at`."""
    if name.isascii() or not at.location.is_local:
        return
    encoding = jvm_encoding()
    if encoding != _UTF_8:
        raise UnreadableFolder(
            f"{name} cannot be named by Java, whose locale has the encoding {encoding}; start the job with "
            "LC_ALL=C.UTF-8 in its environment, or rename it"
        )


@cache
def jvm_encoding() -> str:
    """Returns the encoding of file names in spark-submit's JVM, or in one that this process would start.

    UTF-8 without Java: then nothing is read at all.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        from pyspark import SparkContext  # here, because the operator's commands work without Spark

        SparkContext._ensure_initialized()  # connects with the JVM; Spark itself is not started
        jvm = SparkContext._jvm
        return _UTF_8 if jvm is None else str(jvm.java.lang.System.getProperty(_PROPERTY))
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    asked = [java, "-XshowSettings:properties", "-version"]
    try:
        shown = subprocess.run(asked, capture_output=True, timeout=_SHOW_SECONDS, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return _UTF_8
    found = _SHOWN.search(shown.decode(errors="replace"))
    return found[1] if found else _UTF_8
