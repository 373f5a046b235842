"""What is packed here is imported elsewhere, and nothing else is."""

import subprocess
import tarfile
from pathlib import Path

from deploy.environment_archive import write_environment


def test_an_environment_elsewhere_is_its_own(tmp_path: Path) -> None:
    archive, there = tmp_path / "dist/environment.tar.gz", tmp_path / "there"
    assert write_environment(archive, {"xxhash", "pyspark"}) > 3
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        assert not [name for name in names if "pyspark" in name]
        assert len(names) == len(set(names))
        packed.extractall(there, filter="fully_trusted")  # the interpreter is linked by its absolute path
    asked = (
        "import os, sys, xxhash, importlib.util as u; "
        "print(sys.prefix, xxhash.__file__, u.find_spec('numpy'), os.path.exists(xxhash.__cached__), sep='\\n')"
    )
    python = [there / "bin/python", "-B", "-c", asked]  # which writes no bytecode itself
    said = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True)
    prefix, module, other, compiled = said.stdout.splitlines()
    assert (prefix, other, compiled) == (str(there), "None", "True")
    assert module.startswith(f"{there}/lib/")
