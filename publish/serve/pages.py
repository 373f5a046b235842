"""What the service says about itself: OpenAPI for programs, and one page for people that loads nothing else."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def openapi() -> dict[str, Any]:
    """Returns the service's interface as OpenAPI 3.1."""
    document: dict[str, Any] = json.loads((files("publish.serve") / "openapi.json").read_text(encoding="utf-8"))
    return document


@cache
def page() -> str:
    """Returns the same for people, as one HTML page."""
    pages = Environment(
        loader=PackageLoader("publish.serve", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return pages.get_template("api.html.j2").render(api=openapi())
