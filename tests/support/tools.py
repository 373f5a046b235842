"""Programs that some tests need and that no Python package brings."""

import os
import shutil

import pytest

_PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}
"""Program → the Debian package that brings it."""


def tool(name: str) -> str:
    """Returns a program's path; without it the test is skipped, or fails where DISCOVERY_TEST_EVERYTHING is set."""
    path = shutil.which(name)
    if path is not None:
        return path
    why = f"{name} is not installed (Debian's package {_PACKAGES[name]})"
    if os.environ.get("DISCOVERY_TEST_EVERYTHING"):
        pytest.fail(why)
    pytest.skip(why)
