"""Which code made a run is known with and without git."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from jobs.runtime import versions as module
from jobs.runtime.versions import code_version, library_versions


def test_the_deployment_may_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVERY_CODE_VERSION", "v7")
    assert code_version() == "v7"


def test_a_checkout_names_its_commit_and_another_place_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DISCOVERY_CODE_VERSION", raising=False)
    package = importlib.metadata.version("discovery")
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", code_version()) or code_version() == package
    monkeypatch.setattr(module, "__file__", str(tmp_path / "code_version.py"))
    assert code_version() == package
    monkeypatch.setenv("PATH", "")
    assert code_version() == package


def test_libraries() -> None:
    assert library_versions()["pyspark"] == importlib.metadata.version("pyspark")
