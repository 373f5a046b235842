"""Great Expectations is what decides: and its silence is a failure."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from expectations.checks import Between
from expectations.suite import validate


def test_results_are_those_of_the_suite() -> None:
    results = validate(
        [
            Between("low enough", 2.0, high=2.0),
            Between("too high", 2.0000001, high=2.0),
            Between("between", 5, low=5, high=6, unit="count"),
        ]
    )
    assert {name: result.passed for name, result in results.items()} == {
        "low enough": True,
        "too high": False,
        "between": True,
    }
    assert results["too high"].value == 2.0000001


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_in_range_fails(value: float | None) -> None:
    result = validate([Between("x", value, low=-1e300, high=1e300)])["x"]
    assert (result.passed, result.value) == (False, None)


def test_an_expectation_that_raises_has_failed_and_says_why() -> None:
    results = validate([Between("a list", [1, 2], high=3), Between("sound", 1, high=3)])  # type: ignore[arg-type]
    assert not results["a list"].passed
    assert results["a list"].observed.startswith("raised: ")
    assert results["sound"].passed


def test_nothing_is_printed_or_sent_and_other_commands_do_not_wait_for_the_import(tmp_path: Path) -> None:
    script = tmp_path / "judge.py"
    script.write_text(
        "import sys, os, expectations.gate, expectations.suite as suite\n"
        "from expectations.checks import Between\n"
        "assert 'great_expectations' not in sys.modules and 'pyspark' not in sys.modules\n"
        "assert suite.validate([Between('x', 1, high=2)])['x'].passed\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'\n"
        "sys.exit(17)\n"
    )
    env = {**os.environ, "GX_ANALYTICS_ENABLED": "true", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600, env=env, check=False)
    assert (done.returncode, done.stdout) == (17, ""), done.stderr
    assert "Calculating Metrics" not in done.stderr  # the progress bar
