"""`make environment`: packs the job's Python packages into one archive for `spark-submit --archives` on a cluster.

It holds what `deploy/requirements/job.txt` names, as it is installed here with its bytecode, but for tests and headers,
and a link to the interpreter, which every machine needs at the same path. pyspark is left out: Spark sends its own.
"""

import importlib.util
import re
import sys
import sysconfig
import tarfile
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from deploy.chain import REPO
from deploy.servers.errors import StackError

REQUIREMENTS = REPO / "deploy/requirements/job.txt"
_LEFT_OUT = {"pyspark", "uv", "setuptools"}
"""Packages that no executor needs."""
_FOLDERS_LEFT_OUT = {"tests", "include"}
"""Folders of packages that no executor needs."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_OF_A_NAME = re.compile(r"[-_.]+")


class EnvironmentIncomplete(StackError):
    """The environment here lacks packages that the job needs."""


def write_environment(target: Path, packages: Collection[str] | None = None) -> int:
    """Writes the archive of these packages (None: all of the job), compressed unless its name ends in .tar.

    Returns the number of its files. Raises EnvironmentIncomplete.
    """
    here = Path(sys.prefix)
    files = sorted(_files(here, packages))
    target.parent.mkdir(parents=True, exist_ok=True)
    with _open(target) as archive:
        link = tarfile.TarInfo("bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, str(Path(sys.executable).resolve())
        archive.addfile(link)
        archive.add(here / "pyvenv.cfg", "pyvenv.cfg")  # beside bin/, it makes the folder an environment
        for file in files:
            archive.add(here / file, str(file))
    return len(files)


def _open(target: Path) -> tarfile.TarFile:
    if target.suffix == ".tar":
        return tarfile.open(target, "w")
    return tarfile.open(target, "w:gz", compresslevel=1)  # each machine unpacks it anew for each job


def _files(here: Path, packages: Collection[str] | None) -> Iterator[Path]:
    """Yields the files of the packages, as paths from the environment's folder."""
    wanted = {_name(found) for found in _PIN.findall(REQUIREMENTS.read_text())} - _LEFT_OUT
    wanted = wanted if packages is None else wanted & {*packages}
    installed = {_name(one.metadata["Name"]): one for one in distributions(path=[sysconfig.get_path("purelib")])}
    needed = {name for name in wanted if name in installed}
    if not needed:
        raise EnvironmentIncomplete(f"nothing of {REQUIREMENTS.name} is installed in {here}: run `make env` first")
    for name in needed:
        yield from _files_of(installed[name], here)


def _files_of(package: Distribution, here: Path) -> Iterator[Path]:
    """Yields the package's files below site-packages; scripts, which name this folder, are of no use elsewhere.

    Modules come with their bytecode where there is some: each container would compile them anew.
    """
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        if ".." in file.parts or file.suffix == ".pyc" or not _FOLDERS_LEFT_OUT.isdisjoint(file.parts):
            continue
        if path.is_file():
            yield path.relative_to(here)
        compiled = Path(importlib.util.cache_from_source(path)) if path.suffix == ".py" else path
        if compiled != path and compiled.is_file():
            yield compiled.relative_to(here)


def _name(text: str) -> str:
    return _OF_A_NAME.sub("-", text).lower()


if __name__ == "__main__":
    target = REPO / "dist/environment.tar.gz"
    sys.stdout.write(f"{target.relative_to(REPO)}: {write_environment(target)} files\n")
