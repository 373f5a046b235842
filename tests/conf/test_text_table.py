"""Tables are whole and plain in a pipe, and as wide as the terminal in one."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.text_table import table
from deploy.chain import REPO

CELLS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)))
def test_every_cell_stands_whole_below_the_others_of_its_column(rows: list[list[str]]) -> None:
    lines = table(rows).split("\n")
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    starts = [sum(widths[:at]) + 2 * at for at in range(len(widths))]
    for row, line in zip(rows, lines, strict=True):
        assert [line[start : start + width].strip() for start, width in zip(starts, widths, strict=True)] == row


def test_numbers_stand_at_the_right_and_text_as_it_is() -> None:
    rows = [("a [bold]b[/bold] :smile:", "1,000", "7 %"), ("c", "–", "100 %")]
    assert table(rows, ("name", "many", "share"), indent=2).split("\n") == [
        "  name                       many  share",
        "  a [bold]b[/bold] :smile:  1,000    7 %",
        "  c                             –  100 %",
    ]
    assert table([("a", "1"), ("b", "10")]) == "a  1\nb  10"
    assert table([], ("name",)) == ""


def test_no_pipe_gets_colours_or_folded_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = table([("a", "why " * 100)], ("x", "why"), to=io.StringIO())
    assert text.split("\n") == ["x  why", f"a  {'why ' * 99}why"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert table([("a", "why " * 100)], ("x", "why")) == text


def test_a_terminal_gets_lines_of_its_width_and_whole_ids(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from conf.text_table import table; "
    code += "print(table([('20261116T030000Z-20261116-1', 'why ' * 40)], ('run', 'why'), to=sys.stdout))"
    environment = os.environ | {"COLUMNS": "60", "TERM": "xterm", "PYTHONPATH": str(REPO)}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environment, cwd=tmp_path, check=True)
    shown = os.read(ours, 100_000).decode()
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert "\x1b[1m" in shown
    assert lines[1].startswith("20261116T030000Z-20261116-1  why why")
    assert max(map(len, lines)) <= 60
    assert " ".join(lines).split().count("why") == 41
