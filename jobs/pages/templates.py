"""How templates of pages are rendered: escaped, without control characters, and nothing that is missing is left out."""

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.pages import without_controls


def templates(**functions: Callable[..., object]) -> Environment:
    """Returns the templates in this folder, which may call these functions."""
    made = Environment(
        loader=PackageLoader("jobs.pages", ""),
        autoescape=True,
        finalize=without_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(functions)
    return made
