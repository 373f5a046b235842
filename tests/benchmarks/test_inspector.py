"""The benchmark of the inspector's pages, on a small world: both sides say the same."""

import json

import pytest

from benchmarks.inspector.__main__ import main


def test_pages_and_their_rival_agree(capfd: pytest.CaptureFixture[str]) -> None:
    size = ["--users", "300", "--sources", "400", "--events", "6000", "--factors", "8", "--looks", "6", "--turns", "2"]
    assert main([*size, "--json"]) == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert [found[f"{page}_agree"] for page in ("user", "source", "compare")] == ["2 of 2"] * 3
    assert found["user_peak_mib"] > 0
