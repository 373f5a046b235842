"""The reference of the YAML says all, and is that of the code."""

from pathlib import Path

import pytest
from pydantic import Field

from conf import reference
from conf.base import Strict
from conf.settings import Settings


def test_the_page_is_that_of_the_settings() -> None:
    page = Path(__file__).parents[2] / "docs" / "config.md"
    assert page.read_text() == reference.reference(), "make it anew: make reference"


@pytest.mark.parametrize("name", ["half_life_days", "max_memory", "redis_maxmemory", "success_marker", "salt"])
def test_every_depth_of_the_settings_is_on_it(name: str) -> None:
    assert f"| `{name}` |" in reference.reference()


def test_a_field_without_effect_or_unit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Strict):
        silent: str = ""

    class Unit(Strict):
        much: int = 1
        """How much."""
        at_most: int | None = None
        """No more than so much."""
        inner: Silent = Silent()
        """More."""
        fine: int = Field(default=1, ge=0)
        """Days of it."""

    monkeypatch.setattr(reference, "Settings", Unit)
    with pytest.raises(
        reference.UndocumentedField,
        match=r"^much is a number.*; at_most is a number.*; inner\.silent has no docstring$",
    ):
        reference.reference()
    assert Settings is not Unit
