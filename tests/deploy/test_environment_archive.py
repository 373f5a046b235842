"""What is packed here is imported elsewhere, and nothing else is."""

import subprocess
import tarfile
from pathlib import Path

from deploy.environment_archive import write_environment


def test_an_environment_elsewhere_is_its_own(tmp_path: Path) -> None:
    archive, there = tmp_path / "dist/environment.tar.gz", tmp_path / "there"
    assert write_environment(archive, {"xxhash", "pyspark"}) > 3
    with tarfile.open(archive) as packed:
        assert not [name for name in packed.getnames() if "pyspark" in name]
        packed.extractall(there, filter="fully_trusted")  # the interpreter is linked by its absolute path
    asked = (
        "import sys, xxhash, importlib.util as u; print(sys.prefix, xxhash.__file__, u.find_spec('numpy'), sep='\\n')"
    )
    said = subprocess.run([there / "bin/python", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    prefix, module, other = said.stdout.splitlines()
    assert (prefix, other) == (str(there), "None")
    assert module.startswith(f"{there}/lib/")
