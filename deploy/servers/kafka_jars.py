"""Downloads the jars of Kafka, of Hadoop, and for S3 once with the Ivy that pyspark ships, and checks their hashes.

The files `*-jars.lock` name them; all of them lie in the same folder.

No address is written here: Ivy's own default repository is used, or the one that the Ivy settings file named by
DISCOVERY_IVY_SETTINGS chooses (for sites that download through a mirror).
"""

import fcntl
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from conf.digest import sha256_of
from deploy.servers.errors import JarFetchFailed, JarHashMismatch
from deploy.servers.java import Java
from deploy.servers.spark_home import spark_home

KAFKA_VERSION = "4.3.1"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
_FETCH_SECONDS = 900
_LOG = logging.getLogger(__name__)

_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""


@dataclass(frozen=True)
class Jar:
    """One line of the lock file: Maven coordinates and the hash of the file."""

    sha256: str
    group: str
    artifact: str
    version: str
    classifier: str = ""
    """Which of several files of an artifact; empty for its main one."""

    @classmethod
    def parse(cls, line: str) -> "Jar":
        """Reads `SHA256 GROUP:ARTIFACT:VERSION`, or `…:VERSION:CLASSIFIER`."""
        sha256, coordinates = line.split()
        return cls(sha256, *coordinates.split(":"))

    @property
    def file_name(self) -> str:
        """Name of the file in the jar folder."""
        return f"{'-'.join(filter(None, (self.artifact, self.version, self.classifier)))}.jar"

    def is_at(self, path: Path) -> bool:
        """Returns whether the file exists and has the locked hash."""
        return path.is_file() and sha256_of(path.read_bytes()) == self.sha256


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of downloads: DISCOVERY_CACHE, else `discovery` in the user's cache folder."""
    if chosen := environ.get("DISCOVERY_CACHE"):
        return Path(chosen)
    user_cache = environ.get("XDG_CACHE_HOME")
    return (Path(user_cache) if user_cache else Path.home() / ".cache") / "discovery"


def kafka_folder(cache: Path) -> Path:
    """Returns the folder of this version of Kafka in the cache."""
    return cache / f"kafka-{KAFKA_VERSION}"


def read_lock(lock_file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Returns the jars of the lock file, in its order."""
    return tuple(Jar.parse(line) for line in lock_file.read_text().splitlines() if line.strip())


def ensure_jars(java: Java, cache: Path, *, lock_file: Path = LOCK_FILE) -> tuple[Path, ...]:
    """Returns the path of every locked jar.

    Jars that are missing or have a wrong hash are downloaded, by one process at a time. Raises JarError.
    """
    jars = read_lock(lock_file)
    folder = kafka_folder(cache) / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    with _one_process(folder.with_name("jars.lock")):
        wanted = [jar for jar in jars if not jar.is_at(folder / jar.file_name)]
        if wanted:
            _LOG.info("fetching %d jars of %s into %s", len(wanted), lock_file.name, folder)
            _fetch(wanted, folder, java, lock_file.name)
    return tuple(folder / jar.file_name for jar in jars)


@contextmanager
def _one_process(lock: Path) -> Iterator[None]:
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(jars: Sequence[Jar], folder: Path, java: Java, lock_name: str) -> None:
    """Downloads into a scratch folder and moves the files into place when all hashes are right."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as name:
        scratch = Path(name)
        output = _run_ivy(jars, scratch, java)
        missing = [jar for jar in jars if not (scratch / jar.file_name).is_file()]
        if missing:
            raise JarFetchFailed(
                f"{len(missing)} jars of {lock_name} could not be downloaded. Check the network and proxy (Java reads "
                "JAVA_TOOL_OPTIONS), or name a mirror in an Ivy settings file through DISCOVERY_IVY_SETTINGS. "
                f"The end of Ivy's output:\n{_tail(output)}"
            )
        for jar in jars:
            _check_hash(jar, scratch / jar.file_name, lock_name)
        for jar in jars:
            (scratch / jar.file_name).replace(folder / jar.file_name)


def _check_hash(jar: Jar, path: Path, lock_name: str) -> None:
    if (actual := sha256_of(path.read_bytes())) != jar.sha256:
        raise JarHashMismatch(
            f"the jar {jar.group}:{jar.artifact}:{jar.version} was downloaded with sha256 {actual}, but "
            f"{lock_name} wants {jar.sha256}; it was thrown away. Do not go on before you know who changed it: "
            "the repository, a proxy or the lock file."
        )


def _run_ivy(jars: Iterable[Jar], scratch: Path, java: Java) -> str:
    """Runs Ivy with a cache of its own, so that half-finished downloads elsewhere do not matter. Returns its output."""
    chosen = os.environ.get("DISCOVERY_IVY_SETTINGS")
    settings = Path(chosen).absolute() if chosen else "settings.xml"
    (scratch / "settings.xml").write_text(_SETTINGS)
    (scratch / "ivy.xml").write_text(_ivy_module(jars))
    options = ["-settings", settings, "-ivy", "ivy.xml", "-cache", "ivy-cache"]
    command = [java.program, "-jar", _ivy_jar(), *options, "-retrieve", "[artifact]-[revision](-[classifier]).[ext]"]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise JarFetchFailed(f"the jars were not downloaded within {_FETCH_SECONDS} s: try again") from error
    return done.stdout + done.stderr


def _ivy_module(jars: Iterable[Jar]) -> str:
    lines = [
        f"<dependency org={quoteattr(jar.group)} name={quoteattr(jar.artifact)} rev={quoteattr(jar.version)} "
        f'transitive="false">{_artifact(jar)}</dependency>'
        for jar in jars
    ]
    info = '<info organisation="discovery" module="kafka"/>'
    start = '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">'
    return f"{start}{info}<dependencies>{''.join(lines)}</dependencies></ivy-module>"


def _artifact(jar: Jar) -> str:
    if not jar.classifier:
        return ""
    return f'<artifact name={quoteattr(jar.artifact)} type="jar" m:classifier={quoteattr(jar.classifier)}/>'


def _ivy_jar() -> Path:
    home = spark_home()
    for jar in home.glob("jars/ivy-*.jar") if home else ():
        return jar
    raise JarFetchFailed("no Ivy to fetch jars with: install the job environment (pyspark ships ivy-*.jar)")


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
