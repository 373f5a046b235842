"""Templates → text: every value is escaped for the kind of page, and a name that is not known is an error."""

import base64
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.pages.parts import Table, count, share

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What no HTML may hold."""
_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown could take for its own; an underscore within a word is safe."""
_FIRST = re.compile(r"^(\d*)([-+#=.)])", re.MULTILINE)
"""What it could where a line begins."""
_WIDTH = 120


def html_of(template: str, **values: Any) -> str:
    """Returns the page of a template below models/ as HTML in one file."""
    return _HTML.get_template(template).render(values, layout="pages/html.j2").strip() + "\n"


def part_of(template: str, **values: Any) -> str:
    """Returns the page of a template below models/ as HTML that stands within another page, without its plots."""
    return _HTML.get_template(template).render(values, layout="pages/part.j2").strip() + "\n"


def markdown_of(template: str, **values: Any) -> str:
    """Returns the page of a template below models/ as Markdown."""
    text = _MARKDOWN.get_template(template).render(values, layout="pages/markdown.j2")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def without_controls(value: Any) -> Any:
    """Returns a value whose characters may stand in HTML; what a macro made has been through this before."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def one_line(text: str) -> str:
    """Returns a text in one line, without meaning to Markdown."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def paragraph(text: str) -> str:
    """Returns a text in lines of a terminal's width, none of which Markdown takes for a title or a list."""
    lines = textwrap.fill(one_line(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return _FIRST.sub(r"\1\\\2", lines)


def _rows(table: Table) -> str:
    """Returns lines as wide as the widest cell of each column; texts at the end of a line are as long as they are."""
    cells = [[one_line(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    if table.numbers >= len(widths):
        widths[-1] = 3
    sides = ["<" if at < table.numbers else ">" for at in range(len(widths))]
    rule = ["-" * width if side == "<" else f"{'-' * (width - 1)}:" for side, width in zip(sides, widths, strict=True)]
    head, *rows = (
        [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)] for row in cells
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _environment(filters: Mapping[str, Callable[..., str]], **options: Any) -> Environment:
    loader = PackageLoader("models", "")
    made = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options)
    made.filters.update(filters, share=share, count=count)
    made.globals["Table"] = Table
    return made


_HTML = _environment({"base64": _base64}, autoescape=True, finalize=without_controls)
_MARKDOWN = _environment({"one_line": one_line, "paragraph": paragraph, "rows": _rows})
