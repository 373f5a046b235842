"""A page as Markdown (CommonMark with tables) that reads well as plain text, too."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from models.model_card.page import Page, Plot, Section, Table, Text

_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown could take for its own; an underscore within a word is safe."""
_FIRST = re.compile(r"^(\d*)([-+#=.)])", re.MULTILINE)
"""What it could where a line begins."""
_WIDTH = 120


def markdown_of(page: Page, faults: Mapping[str, str]) -> str:
    """Returns the page; plots are files beside it, those with a fault are named instead."""
    parts = [f"# {escaped(page.title)}", *(part for section in page.sections for part in _section(section, faults))]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Returns a text in one line, without meaning to Markdown."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def _section(section: Section, faults: Mapping[str, str]) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    for block in section.blocks:
        match block:
            case Text():
                yield _paragraph(block.text)
            case Table():
                yield "\n".join(_lines(block))
            case Plot():
                fault = faults.get(block.name)
                yield f"![{escaped(block.shows)}]({block.name}.png)" if fault is None else _paragraph(f"{fault}.")


def _paragraph(text: str) -> str:
    lines = textwrap.fill(escaped(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return _FIRST.sub(r"\1\\\2", lines)


def _lines(table: Table) -> Iterator[str]:
    """As wide as the widest cell of each column; texts at the end of a line are as long as they are."""
    cells = [[escaped(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    if table.numbers >= len(widths):
        widths[-1] = 3
    head, *rows = ([_aligned(table, at, cell, widths[at]) for at, cell in enumerate(row)] for row in cells)
    yield _line(head)
    yield _line([f"{'-' * (width - 1)}:" if at >= table.numbers else "-" * width for at, width in enumerate(widths)])
    yield from map(_line, rows)


def _aligned(table: Table, at: int, cell: str, width: int) -> str:
    return cell.rjust(width) if at >= table.numbers else cell.ljust(width)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
