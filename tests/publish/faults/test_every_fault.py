"""Each of the thirty faults has a test that pytest collects: `@pytest.mark.fault(number)`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("tests/publish", "tests/e2e/test_gates_stop.py", "tests/features/test_hash_columns.py")
LISTER = """
import sys
import pytest

class Lister:
    def pytest_collection_finish(self, session):
        for item in session.items:
            for mark in item.iter_markers("fault"):
                for number in mark.args:
                    print("fault", number, item.nodeid)

sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Lister()]))
"""


def covered() -> dict[int, list[str]]:
    """Number of a fault → its tests."""
    command = [sys.executable, "-c", LISTER, *FOLDERS]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr[-2000:]
    found: dict[int, list[str]] = {}
    for line in told.stdout.splitlines():
        if line.startswith("fault "):
            _, number, test = line.split(" ", 2)
            found.setdefault(int(number), []).append(test)
    return found


@pytest.fixture(scope="module")
def tests_of_faults() -> dict[int, list[str]]:
    return covered()


def test_every_fault_of_the_list_has_a_test(tests_of_faults: dict[int, list[str]]) -> None:
    assert sorted(tests_of_faults) == list(range(1, 31))


if __name__ == "__main__":
    for number, tests in sorted(covered().items()):
        names = sorted({test.split("[")[0].removeprefix("tests/") for test in tests})
        print(f"{number:2}  {len(tests):3}  {', '.join(names)}")
