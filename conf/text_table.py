"""Tables for people: aligned columns, plain wherever no terminal shows them."""

import re
from collections.abc import Sequence
from io import StringIO
from typing import TextIO

_GAP = 2
_LAST = 24
"""Characters that the last column has at least; a terminal that is too narrow for more breaks the lines itself."""
_NUMBER = re.compile(r"[+−-]?[\d,]*\.?\d+ ?%?|–|")


def table(
    rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, indent: int = 0, to: TextIO | None = None
) -> str:
    """Returns rows of cells in columns as wide as their widest cell, numbers below a header at the right.

    Where `to` is a terminal, the header is bold and the last column is folded at its edge; elsewhere no cell is folded,
    coloured or cut.
    """
    from rich.cells import cell_len  # here, because a command without a table need not wait for rich
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return ""
    console = Console(file=to or StringIO(), force_terminal=False if to is None else None, markup=False, emoji=False)
    lines = [header, *rows] if header else rows
    widths = [max(cell_len(part) for line in lines for part in line[at].split("\n")) for at in range(len(lines[0]))]
    made = Table(box=None, show_header=bool(header), header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for at in range(len(widths)):
        is_number = bool(header) and all(_NUMBER.fullmatch(row[at]) for row in rows)
        made.add_column(
            header[at] if header else "",
            justify="right" if is_number else "left",
            no_wrap=at + 1 < len(widths),
            overflow="fold",
        )
    for row in rows:
        made.add_row(*row)
    others = sum(widths[:-1]) + _GAP * len(widths)
    console.width = others + (max(console.width - indent - others, _LAST) if console.is_terminal else widths[-1])
    with console.capture() as captured:
        console.print(made)
    return "\n".join(" " * indent + line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def plain(text: str) -> str:
    """Returns a text in one line whose control characters, and others that do not print, are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
