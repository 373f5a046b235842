"""The worked examples of docs/extend.md: their blocks of code, and how a copy of the code is changed by them."""

import re
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).parents[2]
PAGE = REPO / "docs" / "extend.md"


def changes(title: str) -> Iterator[tuple[str, str, str]]:
    """File, kind and text of each block of code below a heading of the page, in order."""
    _, page = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")
    page, file = page.partition("\n## ")[0], ""
    for name, kind, text in re.findall(r"^\*\*`([\w/.]+)`\*\*|^```(diff|python)\n(.*?)^```$", page, re.M | re.S):
        file = name or file
        if kind:
            yield file, kind, text


def apply(code: Path, file: str, kind: str, text: str) -> str:
    """Writes a new file, or changes one where the lines of the block that are not new stand."""
    path = code / file
    if kind == "python":
        path.write_text(text)
        return file
    lines = text.splitlines(keepends=True)
    before, after = ("".join(line[1:] or "\n" for line in lines if line[0] != sign) for sign in "+-")
    old = path.read_text()
    assert old.count(before) == 1, f"docs/extend.md shows what is not in {file}: {before}"
    path.write_text(old.replace(before, after))
    return file
