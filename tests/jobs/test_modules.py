"""spark-submit puts jobs/ first on the path: no file in it may hide a module that somebody else imports by its name."""

import importlib.metadata
import sys
from pathlib import Path

import jobs

STEMS = {path.stem for path in Path(jobs.__file__).parent.glob("*.py")} - {"__init__"}


def test_no_file_of_jobs_hides_another_module() -> None:
    installed = importlib.metadata.packages_distributions().keys()
    ours = {path.parent.name for path in Path(jobs.__file__).parent.parent.glob("*/__init__.py")}
    assert {"conf", "publish"} <= ours
    assert STEMS & (sys.stdlib_module_names | installed | ours) == set()
