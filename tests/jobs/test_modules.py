"""spark-submit puts jobs/ first on the path: no file or folder in it may hide a module that somebody else imports."""

import importlib.metadata
import sys
from pathlib import Path

import jobs

ROOM = Path(jobs.__file__).parent
FILES = {path.stem for path in ROOM.glob("*.py")} - {"__init__"}
FOLDERS = {path.parent.name for path in ROOM.glob("*/__init__.py")}


def test_no_file_or_folder_of_jobs_hides_another_module() -> None:
    installed = importlib.metadata.packages_distributions().keys()
    ours = {path.parent.name for path in ROOM.parent.glob("*/__init__.py")}
    assert {"conf", "publish"} <= ours
    assert {"run", "stages"} <= FOLDERS
    assert (FILES | FOLDERS) & (sys.stdlib_module_names | installed | ours) == set()


def test_no_module_below_jobs_is_called_like_one_of_the_standard_library() -> None:
    """A file that is started, or debugged, from its own folder would have it before the standard library's."""
    names = {path: path.stem if path.name != "__init__.py" else path.parent.name for path in ROOM.rglob("*.py")}
    hiding = {str(path.relative_to(ROOM)) for path, name in names.items() if name in sys.stdlib_module_names}
    assert hiding == set()


def test_in_jobs_itself_there_are_entries_only() -> None:
    for name in FILES:
        text = (ROOM / f"{name}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40, name
        assert text.rstrip().splitlines()[-2] == 'if __name__ == "__main__":', name
