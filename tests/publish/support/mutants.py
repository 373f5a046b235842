"""Shows that the suite can fail: a copy of the code is broken, a rule at a time.

    python -m tests.publish.support.mutants [NAME…]

Each mutant must be caught by the tests named with it, which pass on the code as it is. Exits with 1 when one survives,
or when the text that it replaces is not there any more. Takes minutes; the working tree is not touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.publish.support.mutations import MUTANTS, Mutant

ROOT = Path(__file__).parents[3]
COPIED = ("conf", "deploy", "expectations", "features", "jobs", "models", "publish", "tests", "pyproject.toml")


def copy_of_the_code(folder: Path) -> None:
    """Everything that the tests need, without what earlier runs left behind."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def passes(folder: Path, tests: Sequence[str]) -> bool:
    """Whether all of these tests pass on the code in the folder; raises SystemExit when they could not even be run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"{' '.join(tests)} cannot be run:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return done.returncode == 0


def verdict_on(mutant: Mutant, folder: Path) -> str:
    """CAUGHT, or why it is not."""
    file = folder / mutant.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        return f"GONE: {mutant.file} has its text {whole.count(mutant.old)} times, not once"
    file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return "SURVIVED" if passes(folder, mutant.tests) else "CAUGHT"
    finally:
        file.write_text(whole, encoding="utf-8")


def main(*names: str) -> int:
    """Judge every mutant, or those whose names begin so; returns the exit code."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name.startswith(names)]
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy_of_the_code(folder)
        if not passes(folder, sorted({test for mutant in chosen for test in mutant.tests})):
            print("the tests fail on the code as it is; mend that first")
            return 1
        for mutant in chosen:
            verdict = verdict_on(mutant, folder)
            bad += verdict != "CAUGHT"
            print(f"{verdict:9} {mutant.name}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} mutants were caught")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
