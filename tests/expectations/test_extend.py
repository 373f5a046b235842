"""The worked example of docs/extend.md, applied to a copy of the code: another expectation of the lists."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.examples import REPO, apply, changes

SCRIPT = """
from conf.gates import ListGate
from conf.reference import reference
from expectations.lists import list_checks
from expectations.overrides import check_overrides
from tests.expectations.profiles import list_profile

assert "| `max_short_share` |" in reference()
check_overrides({"max_short_share": "a small catalogue"})
*_, check = list_checks(list_profile(full=600), ListGate(), "first run", "int64", 1.0)
assert (check.name, check.value, check.high, check.low) == ("max_short_share", 0.4, 0.3, None), check
assert (check.observed(check.value), check.allowed) == ("40.0 %", "at most 30.0 %")
"""


def test_the_example_of_the_documentation_is_an_expectation(tmp_path: Path) -> None:
    for room in ("conf", "expectations"):
        shutil.copytree(REPO / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    changed = [apply(tmp_path, *change) for change in changes("An expectation in full")]
    assert changed == ["conf/gates.py", "expectations/lists.py"]
    (tmp_path / "check.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "check.py"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(REPO)})
    assert done.returncode == 0, done.stderr
